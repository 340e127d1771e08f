// SPDX-License-Identifier: GPL-2.0-or-later
// The module limpet-regex.so: RE2 as labels/regex_engine.h wants it. Exceptions end here: running
// out of memory aborts, as it does everywhere else.
#include <re2/re2.h>

#include <cstdio>
#include <vector>

extern "C" {
#include "labels/regex_engine.h"
}

struct regex_program {
    RE2 re;
    regex_program(const re2::StringPiece &pattern, const RE2::Options &options)
        : re(pattern, options)
    {
    }
};

namespace
{

// Go's words for what RE2 finds wrong (regexp/syntax, ErrorCode).
const char *error_text(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "regexp/syntax: internal error";
    }
}

// The budget bounds the program and, later, the cache of states that hostile subjects fill. Most
// rules are small; only one that does not fit gets more. Go has no cache, and takes any expression
// of fewer than 3.3 million instructions.
regex_program *compile(slice pattern, char *error, size_t error_size)
{
    static const int64_t budgets[] = {1 << 20, 16 << 20, 256 << 20};
    RE2::Options options;
    options.set_log_errors(false);
    for (int64_t budget : budgets) {
        options.set_max_mem(budget);
        auto *program = new regex_program(re2::StringPiece(pattern.ptr, pattern.len), options);
        if (program->re.ok())
            return program;
        RE2::ErrorCode code = program->re.error_code();
        std::snprintf(error, error_size, "%s: `%s`", error_text(code),
                      program->re.error_arg().c_str());
        delete program;
        if (code != RE2::ErrorPatternTooLarge)
            break;
    }
    return nullptr;
}

void free_program(regex_program *program)
{
    delete program;
}

size_t group_count(const regex_program *program)
{
    return static_cast<size_t>(program->re.NumberOfCapturingGroups());
}

int group_named(const regex_program *program, slice name)
{
    const auto &groups = program->re.NamedCapturingGroups();
    auto at = groups.find(std::string(name.ptr, name.len));
    return at == groups.end() ? -1 : at->second;
}

bool search(const regex_program *program, slice subject, size_t start, slice *groups, size_t count)
{
    static const size_t few = 10;
    re2::StringPiece on_stack[few];
    std::vector<re2::StringPiece> on_heap(count > few ? count : 0);
    re2::StringPiece *pieces = count > few ? on_heap.data() : on_stack;
    re2::StringPiece text(subject.ptr, subject.len);
    if (!program->re.Match(text, start, subject.len, RE2::UNANCHORED, pieces,
                           static_cast<int>(count)))
        return false;
    for (size_t i = 0; i < count; i++)
        groups[i] = slice{pieces[i].data(), pieces[i].size()};
    return true;
}

const regex_engine engine = {REGEX_ENGINE_VERSION, compile,     free_program,
                             group_count,          group_named, search};

} // namespace

extern "C" __attribute__((visibility("default"))) const regex_engine *limpet_regex_engine(void);

const regex_engine *limpet_regex_engine(void)
{
    return &engine;
}
