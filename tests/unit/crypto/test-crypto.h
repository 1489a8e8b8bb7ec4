/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the test programs of crypto: each file with cases offers one suite() that test-main.c
 * runs. Secrets are not inherited by a forked child, so each test initialises in its own process.
 */
#ifndef TEST_CRYPTO_H
#define TEST_CRYPTO_H

#include <check.h>

#include "crypto/crypto.h"

/* As ck_assert, which costs a system call each time: for what is asserted a million times. */
#define must(x) ((x) ? (void)0 : ck_abort_msg("%s", #x))

Suite *suite(void);
/* A case whose tests run after cof_crypto_init. */
TCase *crypto_case(const char *name);
/* Decodes text of at most cap bytes; returns how many. */
size_t from_hex(const char *hex, void *out, size_t cap);
/* Fails unless the bytes are what the text says. */
void assert_hex(const void *p, size_t n, const char *hex);
/* The next of a fixed series of numbers; the seed is 0 in each test. */
uint64_t draw(uint64_t *state);
/* A file of the test data directory, at most cap bytes; returns how many. */
size_t load_data(const char *name, char *out, size_t cap);

#endif
