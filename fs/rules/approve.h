/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may: people, requests, approvals, and the judge who says of each frame of a chain whether it was
 * permitted. Pure: no I/O, no clock; signatures, tree heads and policies come by callbacks, so that the
 * archive, coffer verify and a vault judge alike. Public parts of frames suffice. docs/format.md 9.
 *
 * What the judge promises, for whoever models it:
 *  J1 An action that weakens protection takes effect only for a request whose rule was met by APPROVAL frames
 *     before it in the chain: N distinct principals with N distinct keys, the author among them, each role of
 *     the rule held by at least one of them, as the people file in force at each of their frames says.
 *  J2 The rule is the one in force at the frame that is judged: one that became stronger meanwhile counts.
 *  J3 A request id is taken once, is approved by a person once, is met once, is finished once. Behind its
 *     outcome no frame may name it.
 *  J4 Nothing counts that names another archive, a head that is not of this log, or that is expired by the
 *     fastest of the frame's two clocks and the proofs before it.
 *  J5 Nobody's signature counts outside its key's interval, once its key is revoked, for another purpose, for
 *     another document, or, as an approval, from the author.
 *  J6 An act frame belongs to a request of its own action, and does what its document says: object, policy,
 *     people, profile, end, event and its time. What the document says of the state before must hold when the rule is met. Where an object has
 *     changed by then the request fails, and that is no offence of who wrote the frame.
 *  J7 Without people nothing weakens. The first people are countersigned by every officer among them.
 *  J8 No person holds two roles that exclude each other; principals and keys are each one person's.
 *  J9 A refusal by anybody who may approve, or by the author, before the rule is met, ends the request.
 *  J10 A change of the people ends every request that is open: signatures count under the people they were given
 *     under, and only while those are in force.
 *  J11 A review counts only where it is signed, for the purpose coffer-review, by an auditor or an officer, names
 *     the head of this log that it looked at, and begins where the one before it of its kind ended: no frame is
 *     reviewed twice, and none is skipped.
 *  J12 A change is asked for by one person, approved by an officer who is another, done only then, and checked by an
 *     officer or auditor who took no part in it; each step once, in this order.
 *  J13 A ceremony counts once, in the archive that it was held for, where its transcript is whole: each signature of the
 *     person it names, for this ceremony at this point; an auditor present; each step confirmed by two who are not
 *     auditors. A rehearsal is signed for another purpose, and never becomes anything else.
 *  J14 A form that a person signed is in a log once.
 *  J15 Where the policy of its shelf had a release_delay when the rule was met, an escrowed key is not released before that
 *     has passed since, by retention time. Until it is released, who has a role that the rule names, or where it names none
 *     an officer or custodian, ends the request for good: a veto, signed as a refusal.
 *  J16 Where the policy asks for ceremonies (escrow_ceremony), an epoch of escrow is in force only behind the transcript of the
 *     one that made it, came to its end and was no rehearsal, with this very document; and a key goes out only of an epoch whose
 *     secret such a one made or shared anew.
 * What only becomes stronger needs none of this and is permitted.
 */
#ifndef COF_APPROVE_H
#define COF_APPROVE_H

#include "base/json.h"
#include "fs/rules/rules.h"

/* ---- roles and rules ---- */

enum cof_role { /* the first four are bits by cof_role_names; a vault approves nothing */
	COF_ROLE_AUDITOR = 1, COF_ROLE_CUSTODIAN = 2, COF_ROLE_OFFICER = 4, COF_ROLE_OPERATOR = 8, COF_ROLE_VAULT = 16
};
struct cof_approval_rule { /* "2 auditor": so many persons in all, the author included, each role at least once */
	unsigned persons, roles;
};
/* "N [role...]", 2 <= N <= 16. -EINVAL */
int cof_approval_rule_parse(const char *text, struct cof_approval_rule *ret);
/* What compliance promised stays: false where a compliance shelf would be one of governance, or would cool off longer. */
bool cof_policy_keeps_mode(const struct cof_policy *old, const struct cof_policy *then);
void cof_approval_rule_text(const struct cof_approval_rule *r, char out[64]);
/* What meets both. */
void cof_approval_rule_merge(struct cof_approval_rule *r, const struct cof_approval_rule *other);

/* ---- signatures: SSHSIG, judged by ssh-keygen -Y verify (fs/sshsig) ---- */

#define COF_SIGN_REQUEST "coffer-request"
#define COF_SIGN_APPROVE "coffer-approve"
#define COF_SIGN_REFUSE "coffer-refuse"
#define COF_SIGN_EVENT "coffer-event" /* of what a person did */
#define COF_SIGN_REVIEW "coffer-review"
#define COF_SIGN_CHANGE "coffer-change"
#define COF_SIGN_PEOPLE "coffer-people" /* the officers, of the first people */

#define COF_SIGNATURE_MAX 16384
struct cof_signature {
	const char *people; /* allowed_signers text */
	size_t people_len;
	const void *revoked; /* public keys, one a line, as text; 0 bytes: none */
	size_t revoked_len;
	const char *principal, *purpose; /* purpose: the namespace */
	const void *document;
	size_t document_len;
	const char *armored; /* -----BEGIN SSH SIGNATURE----- … */
	size_t armored_len;
	int64_t time; /* of the signature, ns: keys are judged as of then */
};
/* 0 good · -EKEYREJECTED not by that principal, not over that document, wrong purpose · -EKEYREVOKED ·
 * -EKEYEXPIRED outside the key's or certificate's interval · -EUCLEAN no signature · other: could not be judged. */
typedef int (*cof_verify_signature)(void *user, const struct cof_signature *s, struct cof_diag *diag);

struct cof_signature_info { /* what a signature says of itself, unproven */
	char purpose[64];
	uint8_t key[32]; /* SHA-256 over what the public key consists of, however it is written; of a certificate, of
			  * the key that it certifies. Equal: the same secret signs. */
	bool hardware;	 /* sk-: and then whether somebody was there, and was verified by PIN or body */
	bool present, verified;
	bool certificate;
	uint8_t authority[32]; /* of a certificate: the same of its authority's key */
};
int cof_signature_read(const char *armored, size_t n, struct cof_signature_info *ret, struct cof_diag *diag);

/* ---- people ---- */

#define COF_PEOPLE_MAX 40000  /* bytes of the text: it goes into a request as a string */
#define COF_REVOKED_MAX 12000
#define COF_PERSONS_MAX 256
#define COF_PRINCIPAL 64      /* bytes of a principal, NUL included: a-z A-Z 0-9 . _ @ + - */

struct cof_person_key {
	unsigned line;
	size_t person;	 /* index */
	uint8_t key[32]; /* as in cof_signature_info; of cert-authority the authority's */
	bool authority, hardware, verify_required;
};
struct cof_person {
	char name[COF_PRINCIPAL];
	unsigned roles;
	unsigned line; /* the first with it */
};
struct cof_people {
	char *text;
	size_t text_len;
	uint8_t *revoked;
	size_t revoked_len;
	struct cof_person *person;
	struct cof_person_key *key;
	size_t n_persons, n_keys;
};
/*
 * An allowed_signers file: one principal a line, no wildcard, options as OpenSSH has them, the roles in the
 * comment behind the key, "roles=officer,custodian". A principal may have several keys (lines), with the same
 * roles; a key belongs to one principal. An authority (cert-authority) may stand for several, who have to show
 * keys of their own. exclusive: pairs of roles that one person may not have ("auditor+operator …"), NULL: the
 * default. -EUCLEAN with line and reason.
 */
int cof_people_parse(const char *text, size_t n, const void *revoked, size_t revoked_len,
		     const char *exclusive, struct cof_people *ret, struct cof_diag *diag);
void cof_people_done(struct cof_people *p);
const struct cof_person *cof_people_find(const struct cof_people *p, const char *name); /* NULL */
/* Whose signature it would be: the only person with that key, or whom that authority may stand for. NULL: nobody's,
 * or several persons'. */
const struct cof_person *cof_people_signer(const struct cof_people *p, const struct cof_signature_info *s);
/* The vault whose cosignatures are made with this Ed25519 key: a person with that role alone and the key as ssh-ed25519.
 * NULL: nobody enrolled it, so it moves no clock. Its administration is what stands behind "@" in its name, else all. */
const struct cof_person *cof_people_vault(const struct cof_people *p, const uint8_t key[32]);
const char *cof_vault_administration(const struct cof_person *vault);
size_t cof_people_count(const struct cof_people *p, unsigned role);
void cof_roles_text(unsigned roles, char out[64]); /* "auditor,officer" */
#define COF_EXCLUSIVE_DEFAULT "auditor+operator auditor+officer auditor+custodian"

/* ---- requests ---- */

#define COF_REQUEST_MAX 60000 /* bytes of the document */
#define COF_REQUEST_LIFE (90 * 86400 * COF_NSEC) /* from created to expires, at most */

/*
 * The document is canonical JSON: one object, keys in byte order, no blanks, strings escaped as RFC 8785 has
 * it, whole numbers, one newline behind. Keys of every request: action, archive (hex), author, created, expires
 * (RFC 3339, seconds), head {"root": hex, "size": n}, nonce (32 hex digits), sheet (hex), version 1. Where the
 * action has them: before (hex: digest of what is in force, or of the objects' state), objects [[first,count],…]
 * in ascending order, shelves [n,…] in which they lie, in ascending order. The rest is the action's.
 */
struct cof_request {
	struct cof_json *doc;
	uint8_t id[32]; /* SHA-256 of the document, newline included */
	char action[32], author[COF_PRINCIPAL];
	uint8_t archive[16], root[32], sheet[32], nonce[16];
	uint64_t head; /* size */
	int64_t created, expires;
	bool has_before;
	uint8_t before[32];
};
/* Parses and insists on the canonical form: -EUCLEAN with what is wrong. Borrows nothing. */
int cof_request_parse(const void *text, size_t n, struct cof_request *ret, struct cof_diag *diag);
void cof_request_done(struct cof_request *r);
#define COF_REQUEST_OBJECTS 100000u /* of one request, in all its ranges */
/* objects: *ret_first and *ret_count of the i-th range. -ENOENT behind the last, -EUCLEAN */
int cof_request_range(const struct cof_json *doc, size_t i, uint64_t *ret_first, uint64_t *ret_count);
int cof_request_shelf(const struct cof_json *doc, size_t i, uint64_t *ret_ino);

/* ---- the judge ---- */

struct cof_judge;
struct cof_judge_params {
	uint8_t archive_id[16];
	cof_verify_signature verify;
	void *verify_user;
	/* The root of the log's first `size` frames. -ENOENT: there are not so many. */
	int (*head)(void *user, uint64_t size, uint8_t ret[32]);
	void *head_user;
	/* The policy of a shelf in force. NULL: as the SHELF frames say that the judge was fed. */
	int (*policy)(void *user, uint64_t shelf, struct cof_policy *ret);
	void *policy_user;
	/* It is not fed with records of escrow, so that nothing is refused for what those before would have said. */
	bool partial;
};
int cof_judge_new(const struct cof_judge_params *p, struct cof_judge **ret);
void cof_judge_free(struct cof_judge *j);

struct cof_judge_cosign { /* of a COSIGN frame whose signatures were looked at */
	uint8_t key[32];
	char administration[64];
	int64_t time; /* ns, the vault's */
};
struct cof_judge_frame { /* of any type; those that nothing permits or forbids cost nothing */
	unsigned type; /* as in docs/format.md 4 */
	uint64_t sequence, object, position;
	int64_t record_time, retention_time;
	int64_t proven_from; /* the newest proof before it; INT64_MIN: none */
	const void *fields;  /* the public part behind the commitment, if it has one */
	size_t n;
	const struct cof_judge_cosign *cosign; /* COSIGN: NULL: it does not hold */
	bool trusted; /* it was judged when it was accepted: signatures are not checked again */
};
struct cof_judgement {
	const char *rule; /* "same-key", "expired", … static; NULL when permitted */
	char reason[512]; /* a sentence for people */
	uint8_t request[32];
	bool about_request;
	bool met; /* by this frame the request's rule was met */
};
/* 0: permitted, and the judge's state moved on. -EPERM: not, *ret says why; of a log that is read the frame is
 * there all the same and the judge goes on without its effect. Other errors: it could not be judged. */
int cof_judge_take(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret);
/* As cof_judge_take, without moving on: before a frame is written. */
int cof_judge_ask(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret);
/* Whether the policy lets this epoch of escrow be used without a ceremony's transcript, or there is one. document: that of the
 * epoch; NULL: whichever of this key. -EPERM as above. */
int cof_judge_made(const struct cof_judge *j, uint32_t number, const uint8_t key[32], const uint8_t *document, struct cof_judgement *ret);
/* First pass over a chain: the inodes that a frame makes worth following, of REMOVE and of EXTEND with a request its
 * object, of REQUEST those of its document, once an APPROVAL frame approves it. Without it nothing is known of
 * objects, and acts on them are judged by their requests alone. -E2BIG: these are more than COF_WATCHED_MAX. */
#define COF_WATCHED_MAX (1u << 22)
int cof_judge_watch(struct cof_judge *j, const struct cof_judge_frame *f);

const struct cof_people *cof_judge_people(const struct cof_judge *j); /* in force; NULL: none yet */
uint64_t cof_judge_people_sequence(const struct cof_judge *j);

enum cof_request_state {
	COF_REQUEST_OPEN, COF_REQUEST_MET, COF_REQUEST_DONE, COF_REQUEST_FAILED, COF_REQUEST_REFUSED, COF_REQUEST_EXPIRED
};
const char *cof_request_state_name(enum cof_request_state s);
struct cof_signer {
	char name[COF_PRINCIPAL];
	uint8_t key[32];
	unsigned roles;
	uint64_t sequence; /* of its frame */
};
struct cof_request_view {
	const struct cof_request *request;
	const uint8_t *document;
	size_t document_len;
	enum cof_request_state state; /* EXPIRED only as of the last frame */
	uint64_t sequence, met; /* of the REQUEST frame; of the APPROVAL frame that met the rule, or 0 */
	int64_t until; /* of a release that waits since: retention time; COF_RETAIN_NONE */
	const struct cof_signer *signer; /* the author first */
	size_t n_signers;
	struct cof_approval_rule rule; /* in force */
	const char *outcome; /* "" */
};
/* Valid until the judge is fed again. -ENOENT */
int cof_judge_request(const struct cof_judge *j, const uint8_t id[32], struct cof_request_view *ret);
int cof_judge_request_at(const struct cof_judge *j, size_t i, struct cof_request_view *ret); /* in order; -ENOENT */
/* Inodes whose content ended by a DESTROY frame that counts, with its sequence and the request; in no order. Until fn returns
 * not 0, which is returned. */
typedef int (*cof_destroyed_fn)(void *user, uint64_t inode, uint64_t sequence, const uint8_t request[32]);
int cof_judge_destroyed(const struct cof_judge *j, cof_destroyed_fn fn, void *user);
/* Reviews, each kind by the type of its EVENT frame. */
enum cof_review { COF_REVIEW_EVENTS, COF_REVIEW_LOGINS, COF_REVIEWS };
const char *cof_review_type(enum cof_review kind);     /* "review", "failed-logins" */
int cof_review_find(const char *type, enum cof_review *ret); /* -ENOENT */
/* The last frame that one of this kind looked at, and where it is on record. -ENOENT: there was none. */
int cof_judge_reviewed(const struct cof_judge *j, enum cof_review kind, uint64_t *ret_to, uint64_t *ret_sequence);

/* Changes, their steps by the types of their EVENT frames: "change-requested", "change-approved", … */
enum cof_change_step {
	COF_CHANGE_REQUESTED, COF_CHANGE_APPROVED, COF_CHANGE_DECLINED, COF_CHANGE_DONE, COF_CHANGE_CHECKED
};
int cof_change_find(const char *type, enum cof_change_step *ret); /* -ENOENT */
const char *cof_change_type(enum cof_change_step step);

/* What an action has to meet now. doc may be NULL for actions of the whole archive. -ENOENT: no such action. */
int cof_judge_rule(const struct cof_judge *j, const char *action, const struct cof_json *doc,
		   struct cof_approval_rule *ret);

/* Field tags of PEOPLE, REQUEST and APPROVAL frames (docs/format.md 4). */
enum {
	COF_T_REQUEST = 112, COF_T_PEOPLE = 113, COF_T_REVOKED = 114, COF_T_SIGNATURE = 115, COF_T_DOCUMENT = 116,
	COF_T_SHEET = 118, COF_T_VERDICT = 119, COF_T_OUTCOME = 121, COF_T_SHELF_INO = 122, COF_T_RETENTION_BEFORE = 123,
	COF_T_RETENTION_AFTER = 124, COF_T_ASKED = 125, COF_T_RELEASE_AT = 253
};
enum { COF_ASKED_REMOVAL = 1 };
enum { COF_VERDICT_APPROVE = 1, COF_VERDICT_REFUSE, COF_VERDICT_DONE, COF_VERDICT_FAILED };

#endif
