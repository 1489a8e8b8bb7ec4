/* SPDX-License-Identifier: Apache-2.0 */
/* What people signed, by keys that nobody has: for archives whose signatures are taken for good. */
#ifndef COF_TEST_ARCHIVE_SIGNED_H
#define COF_TEST_ARCHIVE_SIGNED_H

#include "base/base.h"
#include "base/json.h"
#include "support.h"

void put_person(struct cof_buf *text, const char *name, const uint8_t point[32], const char *roles); /* a line of the people file */
void put_armored(struct cof_buf *armored, const uint8_t point[32], const char *purpose);
void put_signature(struct cof_buf *fields, const char *name, const uint8_t point[32], const char *purpose); /* field 115 */
void set_hex(struct cof_json *o, const char *key, const void *p, size_t n);

/* ---- archives in which such people are enrolled, alice and bob, both officers ---- */

extern const uint8_t signed_alices[32], signed_bobs[32];
void signed_reopen(struct store *s); /* a mount that takes each signature for good */
void signed_put(struct store *s, uint8_t type, const struct cof_buf *public_part);
struct cof_json *signed_document(struct store *s, const char *action); /* what all have: by alice, under a head of this archive, for ten days */
void signed_enroll(struct store *s);

#endif
