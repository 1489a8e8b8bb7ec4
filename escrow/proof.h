/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A custodian proves to have a share, and gives nothing of it away: the key that is derived from the share
 * (its public half is the share's commitment) signs a challenge. Made wherever the custodian likes,
 * without an archive; checked by whoever has the epoch's document.
 *
 * A challenge is a text that people can copy by hand, "drill-a2b3-c4d5-…": what it is for, and 120 random bits
 * in letters and digits. The purpose is signed with it: a proof for one purpose is none for another.
 * Whoever asks keeps the challenges already used. The message: "coffer/1 share proof\n" challenge "\n".
 *
 * Thread-safety: all functions are thread-safe; cof_crypto_init first.
 */
#ifndef COF_PROOF_H
#define COF_PROOF_H

#include "escrow/slip39.h"

#define COF_PROOF_CHALLENGE 64 /* bytes of the longest challenge, with a NUL */
#define COF_PROOF_TEXT 89      /* a signature of Ed25519 in base64, with a NUL */

#define COF_PROOF_CONFIRM "confirm" /* the share came, and is kept: counts in the epoch's document */
#define COF_PROOF_DRILL "drill"

/* What is encrypted for a full drill begins so, and is no key: behind it 64 random hexadecimal digits and a newline. */
#define COF_CANARY "coffer/1 canary\n"

/* purpose: 1 to 16 of a-z. */
void cof_proof_challenge(const char *purpose, char out[COF_PROOF_CHALLENGE]);
/* Whether text is a challenge for this purpose; NULL: for any. */
bool cof_proof_challenge_ok(const char *text, const char *purpose);

/* -EINVAL: no challenge, or no such share. */
int cof_proof_make(const struct cof_slip39_share *share, const char *challenge, char out[COF_PROOF_TEXT]);
/* -EINVAL: no challenge, or not the form of a proof · -EBADMSG: not made with that share, or for another challenge. */
int cof_proof_verify(const uint8_t commitment[32], const char *challenge, const char *proof);

#endif
