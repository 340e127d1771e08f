# SPDX-License-Identifier: GPL-2.0-or-later
"""Helpers of the integration tests. They share no code with limpet: what limpet writes is read here
by an independent decoder, what it reads is written here byte by byte."""
