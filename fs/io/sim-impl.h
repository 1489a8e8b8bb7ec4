/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the simulated store. The disk is what survives: for each file the bytes that are
 * durable and the changes since, in order; for the names a durable table and the changes since.
 * What a program sees ("now") is kept beside it, as a page cache does.
 */
#ifndef COF_SIM_IMPL_H
#define COF_SIM_IMPL_H

#include "fs/io/impl.h"
#include "fs/io/sim.h"

#define SECTOR 512u

struct sim_bytes {
	uint8_t *data;
	size_t len, cap; /* data between len and cap is zero */
};

struct sim_change { /* of a file, since it was last durable */
	enum { CHANGE_WRITE, CHANGE_SIZE, CHANGE_GROW } kind;
	uint64_t off; /* or the size */
	uint8_t *data;
	size_t n;
};

struct sim_node {
	unsigned refs; /* names, changes of names and open files that mean this one */
	bool dir;
	struct sim_bytes now, durable;
	struct sim_change *change;
	size_t n_change, cap_change;
	uint64_t errors; /* syncs that failed */
};

struct sim_name {
	char *path;
	struct sim_node *node;
};

struct sim_table {
	struct sim_name *name;
	size_t len, cap;
};

struct sim_name_change {    /* since the directory was last durable; a rename is one, never half */
	char *add, *remove; /* paths, or NULL */
	struct sim_node *node; /* what add means */
};

struct sim_plan {
	enum cof_sim_fault fault;
	uint64_t n;
};

struct cof_sim {
	pthread_mutex_t mutex; /* guards everything below, nodes and tables included */
	uint64_t random;
	uint64_t ops, limit;
	uint64_t boot; /* files and stores of an earlier one are dead */
	bool lie, down;
	struct sim_table now, durable;
	struct sim_name_change *change;
	size_t n_change, cap_change;
	struct sim_plan *plan;
	size_t n_plan, cap_plan;
	const void *lock_owner; /* the store object that holds the lock */
	char holder[256];
	struct cof_buf *seen; /* of every write, for tests; may be NULL */
};

/* sim-disk.c */
bool sim_grow_array(void *array, size_t *cap, size_t len, size_t size);
int sim_bytes_resize(struct sim_bytes *b, uint64_t len);
int sim_bytes_write(struct sim_bytes *b, uint64_t off, const uint8_t *p, size_t n);
struct sim_node *sim_node_new(bool dir);
struct sim_node *sim_node_ref(struct sim_node *node);
void sim_node_unref(struct sim_node *node);
void sim_node_forget(struct sim_node *node); /* drops its changes */
int sim_node_change(struct sim_node *node, int kind, uint64_t off, const void *p, size_t n);
int sim_change_apply(const struct sim_change *c, struct sim_bytes *to);
int sim_node_sync(struct sim_node *node); /* applies the changes to what is durable */
struct sim_node *sim_find(const struct sim_table *t, const char *path);
int sim_table_set(struct sim_table *t, const char *path, struct sim_node *node);
void sim_table_remove(struct sim_table *t, const char *path);
void sim_table_free(struct sim_table *t);
bool sim_in_dir(const char *path, const char *dir);
bool sim_has_parent(const struct sim_table *t, const char *path);
int sim_name_change(struct cof_sim *s, const char *add, struct sim_node *node, const char *remove);
int sim_name_apply(const struct sim_name_change *c, struct sim_table *t);
void sim_name_change_free(struct sim_name_change *c);
uint64_t sim_used(const struct cof_sim *s);

/* sim-fault.c */
uint64_t sim_random(struct cof_sim *s);
int sim_due(struct cof_sim *s, enum cof_sim_fault fault);
/* Counts one operation. 0, or how it fails: -ESHUTDOWN, -EIO; ret_short: it is a write, which may be
 * taken in part. */
int sim_step(struct cof_sim *s, bool *ret_short);
int sim_tear(struct cof_sim *s, struct sim_node *node);

#endif
