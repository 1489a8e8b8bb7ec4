/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs without secrets, made up: lines of syslog, auditd, web servers and applications, with all that
 * looks like a key and is none. The same bytes for the same seed, without end.
 */
#ifndef LEAK_LOGS_H
#define LEAK_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logs {
	uint64_t state;
	unsigned left; /* lines of a certificate under way */
	bool plain; /* set behind init: only what syslog, auditd and a web server's Combined Log Format write */
	char host[4][16];
};

void logs_init(struct logs *l, uint64_t seed);
uint64_t logs_random(struct logs *l);
unsigned logs_below(struct logs *l, unsigned n);
/* One line, or a few, with its end; at most 1000 bytes and no terminator. */
#define LOGS_LINE 1024
size_t logs_line(struct logs *l, char out[LOGS_LINE]);
/* Fills out to the last byte. */
void logs_fill(struct logs *l, char *out, size_t n);
/* n characters of an alphabet; adds no terminator. */
void logs_chars(struct logs *l, const char *alphabet, char *out, size_t n);
#define LOGS_HEX "0123456789abcdef"
#define LOGS_ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define LOGS_BASE64 LOGS_ALNUM "+/"
#define LOGS_BASE64URL LOGS_ALNUM "-_"
#define LOGS_BASE58 "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

#endif
