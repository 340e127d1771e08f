/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a text is a selector of Kubernetes, by the grammars of its Go library
 * (apimachinery/pkg/labels, pkg/fields), which Prometheus applies when it loads a file.
 */
#ifndef CONFIG_KUBE_SELECTOR_H
#define CONFIG_KUBE_SELECTOR_H

#include <stdbool.h>

/* "app=web,tier!=db,zone in (a, b),!legacy,size>3"; empty: everything. */
bool kube_selector_is_label(const char *text);

/* "spec.nodeName=node-1,status.phase!=Failed"; \, \= and \\ stand for themselves. */
bool kube_selector_is_field(const char *text);

#endif
