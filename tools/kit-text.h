/* SPDX-License-Identifier: Apache-2.0 */
/* What coffer escrow kit writes besides ciphertexts: instructions in three languages, and a small program. */
#ifndef COFFER_KIT_TEXT_H
#define COFFER_KIT_TEXT_H

extern const char kit_instructions[]; /* RECOVERY.txt */
extern const char kit_identity_py[];  /* identity.py: 64 hexadecimal digits to an age identity */

#endif
