/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every (key, nonce) that is ever given to AES-GCM in one world, through crashes, restored copies
 * and clones: recorded where cof_aead_seal is called (--wrap, in these tests only).
 */
#ifndef COF_TEST_SIM_AUDIT_H
#define COF_TEST_SIM_AUDIT_H

#include "base/base.h"

void audit_start(void); /* another world, with keys of its own */
uint64_t audit_sealed(void);   /* so many messages */
uint64_t audit_repeated(void); /* of them, under a key and nonce that were used before */

#endif
