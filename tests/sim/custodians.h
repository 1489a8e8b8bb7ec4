/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the simulation of custodians: a chain whose frames the real judge looks at, the ledger that the verbs make of
 * those that counted, and epochs of schemes drawn by lot. And the model beside it: who may do what, from docs/format.md 9 and
 * 10.1, which shares of which group are there, who was revoked when. The model knows nothing of what it is compared with.
 */
#ifndef COF_TEST_CUSTODIANS_H
#define COF_TEST_CUSTODIANS_H

#include <check.h>

#include "crypto/crypto.h"
#include "escrow/epoch.h"
#include "tests/sim/rules-sign.h"
#include "tools/escrow-ledger.h"

#define CW_NAMES 16   /* custodians there are; an epoch has some of them */
#define CW_EPOCHS 4
#define CW_KEYS 3
#define CW_REQUESTS 64
#define CW_SHELF 2
#define CW_DAY (86400 * COF_NSEC)

enum { CW_ESCROW = 30, CW_EPOCH = 2, CW_EPOCH_VALID = 3, CW_CUSTODIAN = 4, CW_CUSTODIAN_REVOKED = 5, CW_KEY = 6, CW_RELEASE = 7,
       CW_ATTEMPT = 8, CW_RECOVERED = 9, CW_FAILED = 10, CW_PROPOSED = 18 };

struct cw_epoch {
	struct cof_epoch doc;
	struct cof_epoch_shares *shares;
	const char *passphrase; /* NULL: none */
	/* the model's: groups, what each needs, who is in it */
	unsigned groups, threshold, need[8], members[8], holders, who[COF_CUSTODIANS_MAX], group[COF_CUSTODIANS_MAX];
	bool out[COF_CUSTODIANS_MAX]; /* revoked when it came into force */
	uint64_t record, valid;	      /* sequences; valid 0: not in force */
};
struct cw_key {
	uint8_t id[16], plain[40];
	struct cof_buf file;
	unsigned epoch;
};
enum cw_state { CW_OPEN, CW_MET, CW_DONE, CW_REFUSED };
struct cw_request {
	uint8_t id[32];
	struct cof_buf doc;
	bool accept;	 /* else a release */
	uint8_t what;	 /* accept */
	uint64_t record; /* accept */
	unsigned key, to;
	unsigned author, signers; /* bits */
	int64_t expires;
	enum cw_state state;
	bool used;
};
struct cw_release {
	uint64_t sequence;
	unsigned key, to;
	bool recovered;
};
struct cw {
	uint64_t random, sequence;
	int64_t now;
	struct cof_judge *judge;
	struct ledger ledger;
	unsigned persons, roles; /* of the shelf's rule */
	struct cw_epoch epoch[CW_EPOCHS];
	struct cw_key key[CW_KEYS];
	struct cw_request request[CW_REQUESTS];
	struct cw_release release[CW_REQUESTS];
	unsigned epochs, keys, requests, releases;
	bool revoked[CW_NAMES];
};

uint64_t cw_dice(struct cw *w, uint64_t n);
void cw_start(struct cw *w, uint64_t seed);
void cw_end(struct cw *w);
const char *cw_to(unsigned i); /* recipients of releases: 0 to 2 */
void cw_name(unsigned who, char out[8]);

/* A record of escrow that refers to what is given; what the judge says is compared with `permitted`, and the ledger gets
 * it where it counts. Its sequence. */
struct cw_record {
	uint8_t what;
	uint64_t of, shelf; /* shelf 0: CW_SHELF */
	const struct cw_epoch *epoch;
	const struct cw_key *key;
	const char *to, *name;
	const struct cw_request *request;
	uint8_t proposes;
};
uint64_t cw_put(struct cw *w, const struct cw_record *r, bool permitted);

/* An epoch by lot, and its record. NULL: there are as many as there may be. */
struct cw_epoch *cw_make_epoch(struct cw *w);
/* A key that is encrypted to it, and its record. NULL as above. */
struct cw_key *cw_make_key(struct cw *w, unsigned epoch);
/* Request and votes; the judge is compared with the model at each. life: how long it is good for. NULL: no room. */
struct cw_request *cw_ask(struct cw *w, const struct cw_request *like, int64_t life);
void cw_vote(struct cw *w, struct cw_request *q, unsigned who, bool approves, bool good);
void cw_outcome(struct cw *w, struct cw_request *q); /* the archive says that it is done */
/* Officers that suffice say yes. */
void cw_approve(struct cw *w, struct cw_request *q);
/* Proposed, asked for, approved, and done: a custodian is revoked, or enrolled anew. False: no room. */
bool cw_revoke(struct cw *w, unsigned who, bool revoke);
/* It is put in force. */
void cw_put_in_force(struct cw *w, struct cw_epoch *e);

#endif
