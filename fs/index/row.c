/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a row looks in the database.
 *
 *   key    tag u8 ‖ MAC 16 ‖ nothing, or sequence u64, or position u64 ‖ sequence u64 (big-endian,
 *          so that rows of one object lie in order)
 *   value  nonce 12 ‖ AES-256-GCM(seal key, nonce, associated data = key, plaintext)
 *   meta   key: the one byte 0; value: salt 16 ‖ a sealed value as above, whose associated data is
 *          the key and the salt; plaintext: version u8 ‖ fed u64 ‖ last inode u64
 *
 * MAC = first 16 bytes of HMAC(MAC key, tag ‖ a u64 ‖ b). Both keys come from the index key and the
 * archive's id, the seal key also from the salt, which is drawn for each database: so random nonces
 * stay below their bound, and a database of another archive is one that does not open. The MAC key
 * never changes while the index is open, so that it is read without a lock.
 */
#include "fs/index/internal.h"

#define META_VERSION 2
#define META_PLAIN 17
#define SEALED(n) ((n) + COF_NONCE + COF_TAG)

static const struct ix_key meta_key = {.len = 1, .b = {IX_META}};

void ix_lock(pthread_mutex_t *m)
{
	pthread_mutex_lock(m); /* of the default kind, initialised: cannot fail */
}

void ix_unlock(pthread_mutex_t *m)
{
	pthread_mutex_unlock(m);
}

/* ---- keys ---- */

static int derive(struct cof_index *ix, const uint8_t *salt, const char *label,
		  uint8_t out[COF_KEY])
{
	uint8_t info[64];
	size_t n = strlen(label);
	memcpy(info, label, n);
	memcpy(info + n, ix->archive_id, 16);
	return cof_hkdf(salt, salt ? 16 : 0, ix->secret->index_key, COF_KEY, info, n + 16, out,
			COF_KEY);
}

int ix_row_mac_key(struct cof_index *ix)
{
	return derive(ix, NULL, "coffer/1 index names", ix->secret->mac_key);
}

int ix_row_keys(struct cof_index *ix, const uint8_t salt[16])
{
	struct cof_aead *aead = NULL;
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	if (!key)
		return -ENOMEM;
	int r = derive(ix, salt, "coffer/1 index", key);
	if (!r)
		r = cof_aead_new(key, &aead);
	if (r < 0)
		return r;
	memcpy(ix->salt, salt, 16);
	cof_aead_free(ix->aead);
	ix->aead = aead;
	return 0;
}

void ix_row_prefix(struct cof_index *ix, enum ix_tag tag, uint64_t a, const void *b, size_t b_len,
		   struct ix_key *ret)
{
	uint8_t head[9] = {(uint8_t)tag}, mac[COF_HASH];
	cof_put_le64(head + 1, a);
	struct iovec iov[] = {{head, sizeof(head)}, {(void *)b, b_len}};
	cof_hmac(ix->secret->mac_key, COF_KEY, iov, b_len ? 2 : 1, mac);
	ret->len = IX_PREFIX;
	ret->b[0] = (uint8_t)tag;
	memcpy(ret->b + 1, mac, IX_PREFIX - 1);
}

void ix_key_add(struct ix_key *k, uint64_t big_endian)
{
	cof_put_be64(k->b + k->len, big_endian);
	k->len += 8;
}

/* ---- values ---- */

static void draw_nonce(struct cof_index *ix, uint8_t out[COF_NONCE])
{
	if (!ix->nonces) {
		cof_random(ix->nonce, sizeof(ix->nonce));
		ix->nonces = IX_NONCES;
	}
	memcpy(out, ix->nonce[--ix->nonces], COF_NONCE);
}

static int seal(struct cof_index *ix, const void *aad, size_t aad_len, const void *p, size_t n,
		uint8_t *out)
{
	draw_nonce(ix, out);
	return cof_aead_seal(ix->aead, out, aad, aad_len, p, n, out + COF_NONCE);
}

static int unseal(struct cof_index *ix, const void *aad, size_t aad_len, const uint8_t *p, size_t n,
		  struct cof_buf *ret)
{
	if (n < SEALED(0))
		return -EBADMSG;
	size_t plain = n - SEALED(0), had = ret->len;
	cof_buf_add(ret, p + COF_NONCE, plain);
	if (ret->failed)
		return -ENOMEM;
	uint8_t *out = ret->data ? ret->data + had : NULL;
	int r = cof_aead_open(ix->aead, p, aad, aad_len, p + COF_NONCE, plain, out);
	if (r < 0)
		ret->len = had;
	return r;
}

static bool is_meta(const struct ix_key *k)
{
	return k->len == 1 && k->b[0] == IX_META;
}

/* A neighbour must be a row of ours, whatever it says. */
static int check_row(void *user, const struct ix_key *k, const void *v, size_t n)
{
	struct cof_index *ix = user;
	cof_autobuf struct cof_buf out = {0};
	if (is_meta(k))
		return 0; /* opened at start, and rewritten from memory */
	return unseal(ix, k->b, k->len, v, n, &out);
}

/* ---- reading ---- */

struct take {
	struct cof_index *ix;
	struct ix_key prefix;
	struct ix_row *row;
	size_t max, n; /* max 0: only the next row is looked at, whose ever it is */
};

static int take_row(void *user, const struct ix_key *k, const void *v, size_t n)
{
	struct take *t = user;
	if (!ix_key_same_prefix(k, &t->prefix) || !t->max) {
		int r = check_row(t->ix, k, v, n);
		return r < 0 ? r : 1;
	}
	struct ix_row *row = &t->row[t->n];
	row->key = *k;
	int r = unseal(t->ix, k->b, k->len, v, n, &row->value);
	if (r < 0)
		return r;
	t->n++;
	return t->n == t->max ? 1 : 0;
}

static int above_locked(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret,
			size_t max, size_t *ret_n)
{
	struct take t = {.ix = ix, .prefix = *key, .row = ret, .max = max};
	int r = ix->db ? ix_db_above(ix->db, key, take_row, &t) : -EIO;
	if (r >= 0) {
		*ret_n = t.n;
		return 0;
	}
	for (size_t i = 0; i < max; i++)
		cof_buf_done(&ret[i].value);
	return r;
}

/* A row that should lie above key but whose key was damaged may lie directly before it now. */
static int check_before(struct cof_index *ix, const struct ix_key *key)
{
	int r = ix->db ? ix_db_at_most(ix->db, key, check_row, ix) : -EIO;

	return r == -ENOENT ? -EBADMSG : r; /* the meta row is below every key */
}

int ix_row_above(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret, size_t max,
		 size_t *ret_n)
{
	ix_lock(&ix->db_lock);
	int r = check_before(ix, key);
	if (!r)
		r = above_locked(ix, key, ret, max, ret_n);
	ix_unlock(&ix->db_lock);
	return r;
}

struct nearest {
	struct cof_index *ix;
	const struct ix_key *key;
	struct ix_row row;
	bool other; /* of another prefix: no row */
};

static int take_nearest(void *user, const struct ix_key *k, const void *v, size_t n)
{
	struct nearest *t = user;
	t->other = !ix_key_same_prefix(k, t->key);
	if (t->other)
		return check_row(t->ix, k, v, n);
	if (k->len != t->key->len)
		return -EBADMSG;
	t->row.key = *k;
	return unseal(t->ix, k->b, k->len, v, n, &t->row.value);
}

static int at_most_locked(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret)
{
	struct nearest t = {.ix = ix, .key = key};
	size_t none = 0;
	int r = ix->db ? ix_db_at_most(ix->db, key, take_nearest, &t) : -EIO;
	if (r == -ENOENT)
		return -EBADMSG; /* the meta row lies below every key */
	if (!r && t.other) {
		r = above_locked(ix, key, NULL, 0, &none);
		return r < 0 ? r : -ENOENT;
	}
	if (r < 0)
		cof_buf_done(&t.row.value);
	else
		*ret = t.row;
	return r;
}

int ix_row_at_most(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret)
{
	ix_lock(&ix->db_lock);
	int r = at_most_locked(ix, key, ret);
	ix_unlock(&ix->db_lock);
	return r;
}

bool cof_index_burst(struct cof_index *ix)
{
	ix_lock(&ix->db_lock);
	bool mine = !ix->burst && ix->db;
	if (mine)
		ix_db_hold(ix->db, true);
	ix->burst |= mine;
	ix_unlock(&ix->db_lock);
	return mine;
}

void cof_index_burst_end(struct cof_index *ix, bool mine)
{
	if (!mine)
		return;
	ix_lock(&ix->db_lock);
	ix->burst = false;
	if (ix->db)
		ix_db_hold(ix->db, false);
	ix_unlock(&ix->db_lock);
}

/* ---- writing ---- */

int ix_row_write(struct cof_index *ix, const struct ix_key *key, const void *p, size_t n)
{
	if (!ix->db)
		return -EIO;
	cof_autofree uint8_t *out = malloc(SEALED(n));
	if (!out)
		return -ENOMEM;
	int r = seal(ix, key->b, key->len, p, n, out);
	return r < 0 ? r : ix_db_put(ix->db, key, out, SEALED(n));
}

/* ---- the meta row ---- */

static int copy_meta(void *user, const struct ix_key *k, const void *v, size_t n)
{
	struct cof_buf *out = user;
	if (!is_meta(k))
		return -EBADMSG;
	cof_buf_add(out, v, n);
	return out->failed ? -ENOMEM : 0;
}

int ix_meta_read(struct cof_index *ix)
{
	cof_autobuf struct cof_buf stored = {0}, plain = {0};
	uint8_t aad[17] = {IX_META};
	int r = ix_db_at_most(ix->db, &meta_key, copy_meta, &stored);
	if (r < 0 || stored.len != 16 + SEALED(META_PLAIN))
		return r < 0 && r != -ENOENT ? r : -EBADMSG;
	r = ix_row_keys(ix, stored.data);
	if (r < 0)
		return r;
	memcpy(aad + 1, stored.data, 16);
	r = unseal(ix, aad, sizeof(aad), stored.data + 16, stored.len - 16, &plain);
	if (r < 0 || plain.data[0] != META_VERSION)
		return r < 0 ? r : -EBADMSG;
	atomic_store(&ix->fed, cof_get_le64(plain.data + 1));
	atomic_store(&ix->last_ino, COF_MAX(cof_get_le64(plain.data + 9), 1));
	return 0;
}

int ix_meta_write(struct cof_index *ix, uint64_t fed, uint64_t last_ino)
{
	uint8_t plain[META_PLAIN] = {META_VERSION}, aad[17] = {IX_META};
	uint8_t out[16 + SEALED(META_PLAIN)];
	cof_put_le64(plain + 1, fed);
	cof_put_le64(plain + 9, last_ino);
	memcpy(aad + 1, ix->salt, 16);
	memcpy(out, ix->salt, 16);
	int r = seal(ix, aad, sizeof(aad), plain, sizeof(plain), out + 16);
	return r < 0 ? r : ix_db_put(ix->db, &meta_key, out, sizeof(out));
}
