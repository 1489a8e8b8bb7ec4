/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files approve-judge*.c: what the judge remembers. */
#ifndef COF_APPROVE_JUDGE_H
#define COF_APPROVE_JUDGE_H

#include "fs/rules/approve-private.h"
#include "fs/rules/inodes.h"
#include "fs/rules/profile.h"

enum { /* docs/format.md 4; fs/log is above */
	TYPE_CREATE = 6, TYPE_APPEND = 7, TYPE_HOLE = 8, TYPE_COMMIT = 10, TYPE_EXTEND = 11, TYPE_RENAME = 12, TYPE_REMOVE = 13, TYPE_POLICY = 18, TYPE_PEOPLE = 19, TYPE_REQUEST = 20,
	TYPE_APPROVAL = 21, TYPE_EVENT = 15, TYPE_HOLD = 22, TYPE_DESTROY = 23, TYPE_RECEIPT = 24, TYPE_COSIGN = 25, TYPE_CLOCK = 26, TYPE_SHELF = 29,
	TYPE_ESCROW = 30, TYPE_VAULT = 31, TYPE_CEREMONY = 32
};

struct judged_request {
	struct cof_request q;
	uint8_t *doc;
	size_t doc_len;
	enum cof_request_state state;
	uint64_t sequence, met;
	struct cof_signer *signer;
	size_t n_signers;
	char outcome[160];
	bool used;  /* by a record of escrow, or by a frame that changes people or a policy: it permits one */
	int64_t until; /* of a release that waits: not before this retention time; COF_RETAIN_NONE */
	bool stale; /* it failed because an object had changed when its rule was met, and nobody said so yet */
};

struct judged_shelf {
	uint64_t ino;
	struct cof_policy policy;
	uint8_t digest[32]; /* of the text */
	int64_t least_before; /* retention_min that it had until then; 0: none */
	int64_t since;	      /* retention time of its frame */
	struct cof_inodes files; /* that were committed there */
};

struct judged_object { /* watched */
	uint64_t ino; /* 0: a free place */
	bool committed;
	uint64_t shelf;	    /* 0: its COMMIT frame did not say */
	int64_t until;
	int64_t committed_at; /* retention time */
	int64_t margin;	      /* behind the latest end of certificates; COF_RETAIN_NONE: it does not follow them */
	uint64_t last;	    /* sequence of the newest frame that changed what holds for it */
	uint32_t holds;
	uint8_t mode;	    /* enum cof_retain_mode, of its COMMIT frame */
	int64_t binds_from; /* retention time; 0: at once */
	int64_t least;	    /* no end is earlier */
	bool waits;	    /* for an event */
	bool removed, escrow, destroyed; /* escrow: a record of escrow is about it */
	uint64_t ended;			 /* sequence of its DESTROY frame */
	const struct judged_request *by; /* that it names */
};

struct judged_hold {
	uint64_t id;
	struct {
		uint64_t first, count;
	} *range;
	size_t n;
};

/* What requests name, until somebody else approves them: one that nobody approves does nothing, however many files it names. */
struct judged_named {
	struct judged_names {
		uint8_t id[32];
		struct cof_inode_range *range; /* NULL: they are followed, or there are none */
		size_t n;
	} *request;
	size_t n;
	uint32_t *by_id; /* index + 1, open addressing; a power of two of places */
	size_t places;
};

struct judged_review {
	uint64_t next;	   /* the frame that the next one begins with */
	uint64_t sequence; /* of its frame; 0: none yet */
};

struct judged_epoch { /* of escrow, in force */
	uint64_t shelf;
	uint32_t number;
	uint8_t key[32];
	bool rehearsal, revoked;
};
struct judged_drill { /* that began */
	uint64_t sequence;
	size_t epoch; /* its place */
	bool answered;
};
struct judged_kept { /* a key of escrow */
	uint64_t shelf;
	uint8_t key[16];
	size_t epoch; /* the place of its newest file's */
	bool there;   /* false: a free place */
	bool taken, revoked; /* taken: it has a file */
};
struct judged_file { /* of a key of escrow */
	uint8_t digest[32], key[16];
	uint64_t shelf;
	bool there; /* false: a free place */
};
struct judged_ceremony {
	uint8_t id[32], epoch_key[32], document[32]; /* document: of the epoch, once it was valid */
	uint32_t epoch;
	bool made, rehearsal; /* made: an epoch, to the end */
};
struct judged_release { /* of escrow */
	uint64_t sequence, shelf;
	uint8_t key[16], to[32]; /* to: SHA-256 of for whom */
	bool recovered;
};

struct judged_proposal { /* of escrow: what an approved request may put in force */
	uint64_t sequence;
	uint8_t what; /* that it becomes */
	uint8_t *fields; /* its public part */
	size_t n;
};

struct judged_tpm { /* an epoch of a TPM that was ended */
	uint64_t sequence, shelf;
	uint8_t epoch[32];
	bool raised;
};

#define JUDGED_VAULTS 16u
struct judged_cosign {
	struct cof_judge_cosign said;
	uint64_t sequence;
	int64_t retention; /* of its frame */
};

struct judged_change {
	uint8_t id[32]; /* SHA-256 of the form that asks for it */
	enum cof_change_step state; /* the last step; behind a check that failed, approved */
	struct {
		char name[COF_PRINCIPAL];
		uint8_t key[32];
	} by[8]; /* who took part; no more may */
	unsigned n;
};

struct judged_forms { /* digests of the forms of EVENT frames; open addressing */
	uint8_t (*digest)[32]; /* zeros: a free place */
	size_t n, places;
};

struct cof_judge {
	struct cof_judge_params p;
	struct cof_inodes removed; /* without a request */
	struct cof_inodes committed;
	struct judged_forms forms;
	struct cof_people people;
	bool has_people;
	uint64_t people_sequence;
	uint8_t people_digest[32];
	struct judged_request **request; /* in order of the chain */
	size_t n_requests;
	uint32_t *by_id; /* index + 1, open addressing; a power of two of places */
	size_t places;
	struct judged_shelf *shelf;
	size_t n_shelves;
	struct judged_object *object;
	size_t n_objects, object_places;
	struct judged_hold *hold;
	size_t n_holds;
	uint64_t *ended; /* ids of holds that are over */
	size_t n_ended;
	struct judged_named named; /* of the first pass */
	struct judged_review review[COF_REVIEWS];
	struct judged_cosign cosign[JUDGED_VAULTS]; /* the newest of each vault */
	unsigned n_cosigns;
	struct judged_change *change;
	size_t n_changes;
	uint8_t (*vault)[32]; /* keys of vaults that records name */
	size_t n_vaults;
	uint8_t (*receipt)[32]; /* SHA-256 of those on record */
	size_t n_receipts;
	struct judged_ceremony *ceremony; /* those on record */
	size_t n_ceremonies;
	struct judged_epoch *epoch;
	size_t n_epochs;
	struct judged_drill *drill;
	size_t n_drills;
	struct judged_release *release; /* in order of the chain */
	size_t n_releases;
	struct judged_tpm *tpm;
	size_t n_tpms;
	struct judged_proposal *proposal; /* in order of the chain */
	size_t n_proposals;
	struct judged_kept *kept; /* open addressing */
	size_t n_kept, kept_places;
	struct judged_file *file; /* open addressing, by digest */
	size_t n_files, file_places;
	int64_t latest, longest; /* end and validity of all certificates; COF_RETAIN_NONE, 0: none */
	struct cof_profile profile; /* in force, or the defaults */
	uint8_t profile_digest[32];
	bool has_profile;
};

/* What is said of a frame that is not permitted: fills ret, gives -EPERM. */
int judge_no(struct cof_judgement *ret, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static inline int64_t judge_signed_at(const struct cof_judge_frame *f)
{
	return COF_MAX(f->record_time, f->proven_from);
}
static inline int64_t judge_fastest(const struct cof_judge_frame *f)
{
	return COF_MAX(judge_signed_at(f), f->retention_time);
}

struct judged_request *judge_find(const struct cof_judge *j, const uint8_t id[32]);
int judge_add_request(struct cof_judge *j, struct judged_request *r); /* takes r, also after an error */
void judge_request_free(struct judged_request *r);
const struct cof_policy *judge_policy(const struct cof_judge *j, uint64_t shelf, struct cof_policy *room); /* NULL */
struct judged_object *judge_object(const struct cof_judge *j, uint64_t ino); /* NULL: not watched */
int judge_object_add(struct cof_judge *j, uint64_t ino);
/* Those of the range that are removed without a request are followed from now on. */
int judge_removed_follow(struct cof_judge *j, uint64_t first, uint64_t count);
void judge_people_digest(const char *text, size_t n, const void *revoked, size_t revoked_len, uint8_t ret[32]);

/* One function for a kind of frame. apply: the state moves on when it is permitted. */
int judge_people(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_request(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_approval(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_shelf(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_profile(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_clock(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_cosign(struct cof_judge *j, const struct cof_judge_frame *f, bool apply);
int judge_commit(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_append(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret);
int judge_extend(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_remove(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_destroy(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
/* Whether a request names this inode; when a watched file's retention ends by what frames said so far. */
bool judge_names_object(const struct judged_request *q, uint64_t ino);
bool judge_can_end(const struct cof_judge *j, const struct judged_object *o, const struct cof_judge_frame *f); /* by a quorum */
int64_t judge_end_of(const struct cof_judge *j, const struct judged_object *o); /* COF_RETAIN_NONE: never */
int judge_place(struct cof_judge *j, const struct cof_judge_frame *f, bool apply); /* CREATE, RENAME */
int judge_event(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
/* Of ESCROW frames: what is permitted otherwise. */
int64_t judge_release_until(const struct cof_judge *j, const struct judged_request *r, const struct cof_judge_frame *f);
bool judge_release_waits(const struct judged_request *r);
int judge_veto(struct cof_judge *j, const struct cof_judge_frame *f, struct judged_request *r, bool apply, struct cof_judgement *ret);
int judge_tpm(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply, struct cof_judgement *ret);
int judge_epoch(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply, struct cof_judgement *ret);
/* What a record proposes is remembered; one that accepts it has its public fields. */
int judge_proposal(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply);
int judge_accepted(const struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, struct cof_judgement *ret);
void judge_proposals_free(struct cof_judge *j);
/* A file of a key, which e is the epoch of: its first one, or encrypted anew. */
int judge_kept(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, const struct judged_epoch *e, bool apply,
	       struct cof_judgement *ret);
int judge_kept_revoke(struct cof_judge *j, const struct cof_judge_frame *f); /* a revocation that counts; of a key or not */
/* The key that a frame is about was not revoked before it. */
int judge_kept_valid(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret);
int judge_escrow(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_ceremony(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_vault(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
int judge_receipt(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);
/* Whether the epoch that a frame puts in force, or the one that the key of a release is encrypted to, has a ceremony where the policy
 * asks for one; a release is of a key that was taken in on its shelf before. */
int judge_epoch_made(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret);
int judge_release_made(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret);
void judge_named_free(struct cof_judge *j);
extern const char judge_no_request[];
/* Whether something that the hold of this document covers is known to have been committed on that shelf. */
bool judge_holds_on(const struct cof_judge *j, const struct cof_json *doc, const struct judged_shelf *s);
int judge_hold(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret);

/* A signature field: principal NUL armored text. purpose: what it has to be for. */
struct judge_signature {
	char principal[COF_PRINCIPAL];
	const char *armored;
	size_t n;
	struct cof_signature_info info;
	const struct cof_person *person;
};
int judge_signature_take(const struct cof_field *field, struct judge_signature *ret);
int judge_signature(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_people *people,
		    const char *purpose, const void *doc, size_t doc_len, struct judge_signature *s,
		    struct cof_judgement *ret);
/* A step of a change that its person signed, whose form is o. */
int judge_change_step(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_json *o, const struct cof_field *text,
		 const struct judge_signature *s, bool apply, struct cof_judgement *ret);
/* Whether the first `size` frames of this log have that root. */
int judge_head(struct cof_judge *j, const struct cof_judge_frame *f, uint64_t size, const uint8_t root[32],
	       struct cof_judgement *ret);
/* Archive, head, expiry. */
int judge_document(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_request *q,
		   struct cof_judgement *ret);
/* The request that a frame says it carries out: met, of this action. *ret_request NULL: the frame names none. */
int judge_act(struct cof_judge *j, const struct cof_judge_frame *f, const char *action, const char *other,
	      struct judged_request **ret_request, struct cof_judgement *ret);
/* Whether what the document says of the state before still holds. */
int judge_before(const struct cof_judge *j, const struct cof_request *q, struct cof_judgement *ret);
/* The same of a request that a frame carries out, which it permits once. */
int judge_once(const struct cof_judge *j, const struct judged_request *r, struct cof_judgement *ret);

#endif
