/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive has to allow and to refuse, in a model of its own: retention, holds, events that are waited
 * for, people, requests, approvals and what they do, shelves' policies, the two clocks. Written from what the
 * pages promise (docs/rules.md, docs/design.md 7, 9 and 10), and on purpose without fs/rules: it includes
 * nothing of it. A plain struct, which is copied to remember a state.
 */
#ifndef COF_TEST_RULES_MODEL_H
#define COF_TEST_RULES_MODEL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define RM_NONE INT64_MIN
#define RM_FOREVER INT64_MAX
#define RM_SECOND INT64_C(1000000000)
#define RM_DAY (86400 * RM_SECOND)

enum { RM_SHELVES = 4, RM_NODES = 40, RM_HOLDS = 12, RM_PERSONS = 7, RM_REQUESTS = 40, RM_OBJECTS = 3 };
enum { RM_AUDITOR = 1, RM_CUSTODIAN = 2, RM_OFFICER = 4, RM_OPERATOR = 8 };
enum rm_act { RM_HOLD_END, RM_REMOVE, RM_DESTROY, RM_RETENTION_END, RM_EVENT, RM_POLICY, RM_PEOPLE, RM_CATCH_UP, RM_ACTS };

struct rm_policy {
	bool governance;
	int32_t cooling, kept; /* days */
	bool event;	       /* retention counts from "closed" */
	uint8_t persons;       /* that a removal takes, the auditor among them */
};

struct rm_node { /* a directory or a file; shelves are the first of them */
	uint64_t ino;
	bool dir, committed, removed, content, destroyed; /* destroyed: nobody reads the content any more */
	uint8_t shelf, parent; /* index of nodes */
	uint16_t holds, named; /* bits of holds in force: that cover it, that name it */
	int64_t until;	       /* what is kept at least, while nothing else keeps it */
	bool governance, waits;
	int64_t binds;	 /* compliance binds from then on; RM_NONE: from the commit */
	uint8_t waits_for; /* 0 "closed", 1 "other" */
	int64_t span;
};

struct rm_people {
	uint8_t present, revoked; /* bits of persons */
};

enum rm_state { RM_OPEN, RM_DONE, RM_FAILED, RM_REFUSED };
struct rm_request {
	uint8_t id[32];
	enum rm_act act;
	enum rm_state state;
	uint8_t author, signers; /* bits */
	int64_t expires;
	uint8_t n, object[RM_OBJECTS]; /* nodes in order of their inodes; shelf; hold */
	struct { /* of each object, when it was made */
		int64_t until;
		uint16_t holds;
		bool waits, removed;
		uint32_t changes;
	} before[RM_OBJECTS];
	struct rm_policy policy, policy_before;
	struct rm_people people, people_before;
	int64_t time; /* end, when it happened, or what the clock catches up to */
	uint8_t event;
	bool too_few; /* people without two officers */
};

struct rm {
	int64_t now, wall; /* retention time, wall clock: the world sets them before it asks */
	struct rm_policy policy[RM_SHELVES];
	struct rm_node node[RM_NODES];
	uint32_t changes[RM_NODES]; /* how often what holds for a node changed, but by approval */
	unsigned nodes;
	uint16_t holds; /* in force */
	unsigned n_holds; /* ever */
	uint64_t hold_number[RM_HOLDS];
	uint16_t hold_shelves[RM_HOLDS];
	struct rm_people people;
	struct rm_request request[RM_REQUESTS];
	unsigned n_requests;
};

extern const uint8_t rm_roles[RM_PERSONS];

/* Each says 0 or the -errno that has to come, and if it is 0 the model has moved on. */
int rm_create(struct rm *m, unsigned dir, bool is_dir); /* the last node is it; its ino is to be filled in */
int rm_write(struct rm *m, unsigned i);
int rm_commit(struct rm *m, unsigned i, int64_t asked);
int rm_extend(struct rm *m, unsigned i, int64_t until);
int rm_wait(struct rm *m, unsigned i, uint8_t event);
int rm_unlink(struct rm *m, unsigned i);
int rm_rename(struct rm *m, unsigned i, unsigned dir);
int rm_hold(struct rm *m, const uint8_t *nodes, unsigned n); /* the last hold is it */
int rm_set_policy(struct rm *m, unsigned shelf, const struct rm_policy *p);

/* Whether the action makes sense as it stands. */
int rm_possible(const struct rm *m, const struct rm_request *q);
void rm_remember(const struct rm *m, struct rm_request *q); /* what it is about, as it is now */
/* good: signed by whom it says, for this, for this archive. */
int rm_submit(struct rm *m, const struct rm_request *q, unsigned signer, bool good);
/* i: of a request. -ENOENT where it is none. */
int rm_vote(struct rm *m, unsigned i, unsigned signer, bool approves, bool good);
bool rm_expired(const struct rm *m, const struct rm_node *n);
bool rm_destroyable(const struct rm *m, const struct rm_node *n);

#endif
