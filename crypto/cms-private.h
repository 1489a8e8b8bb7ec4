/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files cms*.c. */
#ifndef COF_CMS_PRIVATE_H
#define COF_CMS_PRIVATE_H

#include "crypto/cms.h"

enum { CMS_INTEGER = 0x02, CMS_BITS = 0x03, CMS_OCTETS = 0x04, CMS_SEQUENCE = 0x30, CMS_SET = 0x31, CMS_CONTEXT_0 = 0x80, CMS_EXPLICIT_0 = 0xa0,
       CMS_EXPLICIT_1 = 0xa1 };
/* One value of DER. */
void cms_put(struct cof_buf *b, uint8_t tag, const void *p, size_t n);
void cms_put_buf(struct cof_buf *b, uint8_t tag, const struct cof_buf *v);

/* cms-agree.c: the RecipientInfo of a key of an elliptic curve; key: COF_KEY bytes in secure memory. */
int cms_put_agreed(const struct cof_cms_recipient *to, const uint8_t *key, struct cof_buf *ret);
/* Whether that point is on its curve. */
bool cms_point_ok(const struct cof_cms_recipient *to);

#endif
