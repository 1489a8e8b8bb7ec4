/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts and actors: rows that are put once and never change. A second, different one is damage or
 * another archive's log, and refused.
 */
#include "fs/index/internal.h"

#define MOUNT_SIZE 40

static int put_once(struct cof_index *ix, enum ix_tag tag, uint64_t id, uint64_t sequence,
		    const void *p, size_t n)
{
	struct ix_key prefix;
	ix_row_prefix(ix, tag, id, NULL, 0, &prefix);
	ix_lock(&ix->put_lock);
	int r = ix_version_put(ix, &prefix, sequence, IX_PUT_ONCE, p, n);
	ix_unlock(&ix->put_lock);
	return r;
}

static int get_once(struct cof_index *ix, enum ix_tag tag, uint64_t id, uint8_t *out, size_t n,
		    uint64_t *ret_sequence)
{
	struct ix_key prefix;
	struct ix_version v = {0};
	ix_row_prefix(ix, tag, id, NULL, 0, &prefix);
	int r = ix_version_get(ix, &prefix, COF_INDEX_NOW, &v);
	if (!r && v.value.len != n)
		r = -EBADMSG;
	if (!r) {
		memcpy(out, v.value.data, n);
		*ret_sequence = v.sequence;
	}
	cof_buf_done(&v.value);
	return r;
}

int cof_index_put_mount(struct cof_index *ix, uint32_t mount, const struct cof_index_mount *m)
{
	uint8_t plain[MOUNT_SIZE];
	cof_put_le64(plain, m->address);
	memcpy(plain + 8, m->salt, 32);
	return put_once(ix, IX_MOUNT, mount, m->sequence, plain, sizeof(plain));
}

int cof_index_get_mount(struct cof_index *ix, uint32_t mount, struct cof_index_mount *ret)
{
	uint8_t plain[MOUNT_SIZE];
	uint64_t sequence;
	int r = get_once(ix, IX_MOUNT, mount, plain, sizeof(plain), &sequence);
	if (r)
		return r;
	ret->sequence = sequence;
	ret->address = cof_get_le64(plain);
	memcpy(ret->salt, plain + 8, 32);
	return 0;
}

static uint64_t actor_id(uint32_t mount, uint32_t actor)
{
	return (uint64_t)mount << 32 | actor;
}

int cof_index_put_actor(struct cof_index *ix, uint64_t sequence, uint32_t mount, uint32_t actor,
			uint64_t address)
{
	uint8_t plain[8];
	cof_put_le64(plain, address);
	return put_once(ix, IX_ACTOR, actor_id(mount, actor), sequence, plain, sizeof(plain));
}

int cof_index_get_actor(struct cof_index *ix, uint32_t mount, uint32_t actor, uint64_t *ret_address)
{
	uint8_t plain[8];
	uint64_t sequence;
	int r = get_once(ix, IX_ACTOR, actor_id(mount, actor), plain, sizeof(plain), &sequence);
	if (!r)
		*ret_address = cof_get_le64(plain);
	return r;
}
