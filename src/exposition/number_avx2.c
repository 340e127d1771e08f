/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exposition/number_avx2.h"

#ifdef CPU_MAY_HAVE_AVX2
const double number_avx2_scales[2 * NUMBER_AVX2_EXPONENT + 1][2] = {
    {1, 1e22}, {1, 1e21}, {1, 1e20}, {1, 1e19}, {1, 1e18}, {1, 1e17}, {1, 1e16}, {1, 1e15},
    {1, 1e14}, {1, 1e13}, {1, 1e12}, {1, 1e11}, {1, 1e10}, {1, 1e9},  {1, 1e8},  {1, 1e7},
    {1, 1e6},  {1, 1e5},  {1, 1e4},  {1, 1e3},  {1, 1e2},  {1, 1e1},  {1, 1},    {1e1, 1},
    {1e2, 1},  {1e3, 1},  {1e4, 1},  {1e5, 1},  {1e6, 1},  {1e7, 1},  {1e8, 1},  {1e9, 1},
    {1e10, 1}, {1e11, 1}, {1e12, 1}, {1e13, 1}, {1e14, 1}, {1e15, 1}, {1e16, 1}, {1e17, 1},
    {1e18, 1}, {1e19, 1}, {1e20, 1}, {1e21, 1}, {1e22, 1},
};
#endif
