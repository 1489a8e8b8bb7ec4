/* SPDX-License-Identifier: Apache-2.0 */
/* An archive's judge with people whose keys are made here, for the tests of what they sign. */
#ifndef COF_TEST_JUDGED_H
#define COF_TEST_JUDGED_H

#include "crypto/crypto.h"
#include "fs/sshsig/sshsig.h"

#include <check.h>

#define DAY (86400 * COF_NSEC)
#define NOW (INT64_C(1900000000) * COF_NSEC) /* 2030-03-17 */
#define HEAD 0xab /* each byte of the root of any head */
enum { COMMIT = 10, REMOVE = 13, EVENT = 15, SHELF = 29, PEOPLE = 19, REQUEST = 20, APPROVAL = 21 };

extern char dir[64]; /* of the keys and of what is signed */
extern struct cof_judge *judge;
extern uint64_t sequence; /* of the next frame */
extern cof_verify_signature verify;
extern void *verify_user;
extern char policy_text[], weaker_text[]; /* of the shelf, and one that weakens it */

void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void slurp(const char *name, struct cof_buf *ret); /* a file of dir */
void store(const char *name, const void *p, size_t n);
const char *pub(const char *who); /* "alice": her public key, type and base64 */
void sign(struct cof_buf *fields, const char *name, const char *key, const char *purpose, const struct cof_buf *doc);
void hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n);
int take(unsigned type, uint64_t object, int64_t at, const struct cof_buf *fields, struct cof_judgement *w);

#define REFUSED(r, w, what)                                                                                       \
	do {                                                                                                      \
		ck_assert_int_eq(r, -EPERM);                                                                      \
		ck_assert_msg(!strcmp((w).rule, what), "%s (%s), not %s", (w).rule, (w).reason, what);             \
	} while (0)
#define PERMITTED(r, w) ck_assert_msg((r) == 0, "%d %s: %s", r, (w).rule ? (w).rule : "", (w).reason)

struct spec { /* of a document; zero: as it should be */
	const char *action, *author, *people, *revoked, *policy;
	uint8_t archive, root;
	uint64_t size, ino, count, hold; /* ino: of a file that it is about, or the first of so many */
	int64_t created, expires, until; /* until: of retention-end */
	uint8_t before[32];
	bool has_before;
};
void document(const struct spec *s, struct cof_buf *ret);
/* A request for shelf 2, made by alice and approved by bob. what: that record 77 counts, as this; NULL: the release of a key. */
#define ESCROW_KEY "0102030405060708090a0b0c0d0e0f10"
#define ESCROW_TO "age1recipient"
void approved_escrow(const char *action, const char *what, struct cof_buf *ret);
/* Record 77, which proposes a record of escrow as these fields have it. */
void proposed_escrow(const struct cof_buf *fields);
void policy_is(const char *text);

void make_keys(void); /* once a process */
void remove_keys(void);
void set_up(void); /* a judge with alice and bob (officers), carol and hana (auditors), dan, erin, frank and gina (operators) */
void without_people(void); /* another judge in its place, of an archive where nobody is enrolled */
void tear_down(void);

#endif
