/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM 2.0: sealing under PCRs, a counter and a PIN; counters; a secret in NV; its clock. The only
 * folder that includes tss2's headers, and within it the files tpm*.c alone.
 *
 * One command of this header is one round of its own: storage key (pinned by name), a salted session
 * with encrypted parameters, the work, everything flushed. A TPM that was reset or whose socket was
 * dropped between two commands is reached again by the next one; commands that may be repeated
 * without harm are repeated once by themselves.
 *
 * Thread-safety: a connection is used by one thread at a time; several connections may live side by
 * side. Failures: -errno, a sentence in diag, and cof_tpm_cause() until the next command.
 * Numbers: "TPM 2.0 Part 3" of the Trusted Computing Group is the command reference.
 */
#ifndef COF_TPM_H
#define COF_TPM_H

#include <stdatomic.h>

#include "crypto/crypto.h"

struct cof_tpm;

#define COF_TPM_DEVICE "device:/dev/tpmrm0" /* the kernel's resource manager */
#define COF_TPM_PCRS 24
#define COF_TPM_NAME 34	  /* SHA-256 name: algorithm, then hash (Part 1, 16) */
#define COF_TPM_SECRET 32 /* bytes that a sealed object holds */
#define COF_TPM_AUTH 32	  /* bytes of an authorisation value */
#define COF_TPM_BRANCHES 8

enum cof_tpm_cause {
	COF_TPM_OK = 0,
	COF_TPM_GONE,	  /* -ENODEV: no such device, nobody listens there or answers in time */
	COF_TPM_DROPPED,  /* -EPIPE: the connection broke in the middle of a command */
	COF_TPM_RESET,	  /* -EAGAIN: it was reset during the command, which was repeated in vain */
	COF_TPM_LOCKED,	  /* -EACCES: locked out after wrong PINs; diag says for how long */
	COF_TPM_CLEARED,  /* -ENOKEY: the same TPM, but its storage key is another since a clear */
	COF_TPM_EXCHANGED, /* -EXDEV: another TPM */
	COF_TPM_CHANGED,  /* -EKEYREJECTED: PCRs differ; diag and cof_tpm_changed() say which */
	COF_TPM_PIN,	  /* -EKEYREJECTED: wrong PIN; diag says how many tries are left */
	COF_TPM_COUNTER,  /* -ESTALE: the counter has gone past this seal */
	COF_TPM_NO_INDEX, /* -ENOENT: no such NV index */
	COF_TPM_FOREIGN,  /* -EUCLEAN: the NV index there is not of the form that was defined */
	COF_TPM_OWNER,	  /* -EPERM: the owner hierarchy has a password */
	COF_TPM_FULL,	  /* -ENOBUFS: no NV space, no slot */
	COF_TPM_ALTERED,  /* -EBADMSG: the sealed object was altered, or answers on the way to us */
	COF_TPM_OTHER	  /* -EIO: anything else, with the TPM's code */
};

/*
 * where: "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321", "swtpm:path=/run/x.sock", or the
 * absolute path of an swtpm's socket; NULL: COF_TPM_DEVICE. Anything else: -EINVAL (a TCTI string
 * can name a library to load). Connects; sends Startup, which a started TPM ignores. tss2 writes
 * its own messages to standard error unless TSS2_LOG is set: this sets it when it is not.
 */
int cof_tpm_open(const char *where, struct cof_tpm **ret, struct cof_diag *diag);
/* The same, with an end to waiting. Behind a socket an answer that takes longer than *patience_ms counts as none
 * (COF_TPM_GONE), by default a minute; it is looked at again while somebody waits, may be changed meanwhile, and
 * outlives *ret. A device's driver in the kernel has limits of its own. */
int cof_tpm_open_within(const char *where, const atomic_int *patience_ms, struct cof_tpm **ret,
			struct cof_diag *diag);
void cof_tpm_free(struct cof_tpm *t); /* NULL is fine */
void cof_tpm_freep(struct cof_tpm **t);
#define cof_autotpm COF_CLEANUP(cof_tpm_freep)
enum cof_tpm_cause cof_tpm_cause(const struct cof_tpm *t); /* of the last command */
uint32_t cof_tpm_changed(const struct cof_tpm *t);	    /* COF_TPM_CHANGED: the PCRs, as bits */

/* ---- PCRs (bank SHA-256) ---- */

struct cof_tpm_pcrs {
	uint32_t mask; /* bit i: PCR i. 16 and 23 can be reset by anyone and are refused: -EINVAL */
	uint8_t value[COF_TPM_PCRS][COF_HASH]; /* of those in mask */
};

/* "7", "0,2,4-7": -EINVAL with a sentence. At least one. */
int cof_tpm_pcrs_parse(const char *text, uint32_t *ret_mask, struct cof_diag *diag);
void cof_tpm_pcrs_text(uint32_t mask, char out[80]);
int cof_tpm_pcrs_read(struct cof_tpm *t, uint32_t mask, struct cof_tpm_pcrs *ret,
		      struct cof_diag *diag);

/* ---- NV indices ---- */

enum cof_tpm_counter_kind {
	COF_TPM_NORMAL, /* every value in flash: for keys */
	COF_TPM_ORDERLY /* in memory, in flash once a block; after a power cut at its block's end: anchor */
};

/* A free index in the owner's range, from a start that depends on seed on. */
int cof_tpm_index_free(struct cof_tpm *t, const uint8_t seed[16], uint32_t *ret_index,
		       struct cof_diag *diag);
/* Defines and increments once (its name changes with the first write, and it has no value before).
 * Anyone may read it, anyone may raise it, nobody can lower it: undefining it and defining it anew
 * goes on above the highest value that any counter of this TPM ever had. */
int cof_tpm_counter_define(struct cof_tpm *t, uint32_t index, enum cof_tpm_counter_kind kind,
			   uint64_t *ret_value, struct cof_diag *diag);
/* The index's public area is checked: a counter of that kind, 8 bytes, our attributes. */
int cof_tpm_counter_read(struct cof_tpm *t, uint32_t index, enum cof_tpm_counter_kind kind,
			 uint64_t *ret_value, struct cof_diag *diag);
/* Raises from target - 1 to target; 0 too when it is there already, so that it may be repeated
 * after any failure. Else -ESTALE (COF_TPM_COUNTER), and *ret_value (may be NULL) what it is. */
int cof_tpm_counter_raise(struct cof_tpm *t, uint32_t index, enum cof_tpm_counter_kind kind,
			  uint64_t target, uint64_t *ret_value, struct cof_diag *diag);
/* What stands where an archive's indices are looked for, and has the form of one; whose it is the TPM does not say. */
enum cof_tpm_index_kind { COF_TPM_INDEX_NORMAL, COF_TPM_INDEX_ORDERLY, COF_TPM_INDEX_STORE };
#define COF_TPM_INDEX_RANGE 64
struct cof_tpm_index {
	uint32_t index;
	enum cof_tpm_index_kind kind;
};
int cof_tpm_index_list(struct cof_tpm *t, const uint8_t seed[16], struct cof_tpm_index ret[COF_TPM_INDEX_RANGE],
		       size_t *ret_n, struct cof_diag *diag);
int cof_tpm_undefine(struct cof_tpm *t, uint32_t index, struct cof_diag *diag);

/* An ordinary index that only the bearer of auth reads or writes, not the owner. n at most 128. The
 * owner can still undefine it: then it is missing, which is an alarm, not a fresh start. */
int cof_tpm_store_define(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH],
			 size_t n, struct cof_diag *diag);
int cof_tpm_store_write(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH],
			const void *p, size_t n, struct cof_diag *diag);
/* out: secure memory. Before the first write: -ENODATA. */
int cof_tpm_store_read(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH],
		       void *out, size_t n, struct cof_diag *diag);
/* Whether this is the TPM that has the store: its answer is authenticated with auth, which only that one knows.
 * n: as defined. Failures as of reading; another TPM, or a cleared one: COF_TPM_NO_INDEX, COF_TPM_FOREIGN. */
int cof_tpm_store_prove(struct cof_tpm *t, uint32_t index, const uint8_t auth[COF_TPM_AUTH], size_t n,
			struct cof_diag *diag);

/* ---- sealing ---- */

/* A sealed object with all that is needed to open it; nothing in it is secret. */
struct cof_tpm_sealed {
	uint32_t parent; /* persistent handle of the storage key, or 0: made anew each time */
	uint8_t parent_name[COF_TPM_NAME];
	uint8_t identity[COF_TPM_NAME]; /* of an endorsement key: outlasts a clear, not an exchange */
	uint32_t index;			/* of a normal counter */
	uint64_t value;			/* that it must have */
	bool pin;
	unsigned n_branches; /* 1 to 8: any of them will do */
	struct cof_tpm_pcrs branch[COF_TPM_BRANCHES];
	uint16_t public_len, private_len;
	uint8_t public_area[256], private_area[512]; /* TPM2B_PUBLIC, TPM2B_PRIVATE */
};

struct cof_tpm_seal_params {
	uint32_t index;
	uint64_t value;		    /* may lie ahead of the counter: then it opens after the increment */
	const uint8_t *auth;	    /* COF_TPM_AUTH bytes derived from the PIN, or NULL: no PIN */
	const struct cof_tpm_pcrs *branches;
	unsigned n_branches;
};

/*
 * Seals secret under PolicyPCR and PolicyNV eq (and PolicyAuthValue with a PIN; then wrong tries
 * count for the TPM's lockout, without a PIN they do not), PolicyOR where there are several
 * branches; without userWithAuth. The storage key is 0x81000001 where that is there, else it is
 * made from the standard ECC template.
 */
int cof_tpm_seal(struct cof_tpm *t, const struct cof_tpm_seal_params *p,
		 const uint8_t secret[COF_TPM_SECRET], struct cof_tpm_sealed *ret,
		 struct cof_diag *diag);
/* auth: as at sealing; -EINVAL when a PIN is wanted and there is none. */
int cof_tpm_unseal(struct cof_tpm *t, const struct cof_tpm_sealed *s, const uint8_t *auth,
		   uint8_t ret_secret[COF_TPM_SECRET], struct cof_diag *diag);

/* As bytes, for a file (docs/format.md 7.1). load: -EUCLEAN; every bound is checked. */
int cof_tpm_sealed_store(const struct cof_tpm_sealed *s, struct cof_buf *ret);
int cof_tpm_sealed_load(const void *p, size_t n, struct cof_tpm_sealed *ret);
/* One without branches and PIN, which is of a quorum (crypto/quorum.h). */
int cof_tpm_object_load(const void *p, size_t n, struct cof_tpm_sealed *ret);

/* ---- what it says of itself ---- */

struct cof_tpm_clock {
	uint64_t clock_ms;	   /* goes on over restarts, back after a power cut; anyone can set it forward */
	uint64_t time_ms;	   /* since the last reset */
	uint32_t resets, restarts; /* since the last clear */
	bool safe;		   /* false: it may have been higher already */
};
int cof_tpm_clock_read(struct cof_tpm *t, struct cof_tpm_clock *ret, struct cof_diag *diag);

struct cof_tpm_lockout {
	uint32_t failures, max; /* wrong tries counted; that many lock */
	uint32_t interval_s;	/* one is forgotten after so many seconds of power */
	bool locked;
};
int cof_tpm_lockout_read(struct cof_tpm *t, struct cof_tpm_lockout *ret, struct cof_diag *diag);

/* Loads what tss2 needs to reach a TPM there, without connecting: for who may map no code later. */
int cof_tpm_load(const char *where, struct cof_diag *diag);

#endif
