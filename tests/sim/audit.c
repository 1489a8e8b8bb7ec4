/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/audit.h"

#include "crypto/crypto.h"

int __wrap_cof_aead_new(const uint8_t key[COF_KEY], struct cof_aead **ret);
void __wrap_cof_aead_free(struct cof_aead *a);
void __wrap_cof_aead_freep(struct cof_aead **a);
int __wrap_cof_aead_seal(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
			 size_t aad_len, const void *in, size_t n, void *out);
int __real_cof_aead_new(const uint8_t key[COF_KEY], struct cof_aead **ret);
void __real_cof_aead_free(struct cof_aead *a);
int __real_cof_aead_seal(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
			 size_t aad_len, const void *in, size_t n, void *out);

#define KEYS 4096

struct used { /* a hash of key and nonce; zero: free */
	uint64_t word[2];
};

static struct {
	const struct cof_aead *aead;
	uint8_t id[COF_HASH];
} keys[KEYS];
static struct used *table;
static size_t room, used;
static uint64_t sealed, repeated;

void audit_start(void)
{
	if (table)
		memset(table, 0, room * sizeof(*table));
	used = 0;
	sealed = repeated = 0;
}

uint64_t audit_sealed(void)
{
	return sealed;
}

uint64_t audit_repeated(void)
{
	return repeated;
}

static size_t find_key(const struct cof_aead *a)
{
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].aead == a)
			return i;
	abort(); /* more keys at once than anything here holds: the audit would be blind */
}

int __wrap_cof_aead_new(const uint8_t key[COF_KEY], struct cof_aead **ret)
{
	int r = __real_cof_aead_new(key, ret);
	size_t at;

	if (r < 0)
		return r;
	at = find_key(NULL);
	keys[at].aead = *ret;
	cof_sha256(key, COF_KEY, keys[at].id);
	return r;
}

void __wrap_cof_aead_free(struct cof_aead *a)
{
	if (a)
		keys[find_key(a)].aead = NULL;
	__real_cof_aead_free(a);
}

void __wrap_cof_aead_freep(struct cof_aead **a)
{
	__wrap_cof_aead_free(*a);
}

/* False: it was there. */
static bool insert(struct used *t, size_t n, struct used u)
{
	size_t at = u.word[0] % n;

	while (t[at].word[0] | t[at].word[1]) {
		if (!memcmp(&t[at], &u, sizeof(u)))
			return false;
		at = (at + 1) % n;
	}
	t[at] = u;
	return true;
}

static void grow(void)
{
	size_t more = room ? 2 * room : 1u << 16;
	struct used *t = calloc(more, sizeof(*t));

	if (!t)
		abort();
	for (size_t i = 0; i < room; i++)
		if (table[i].word[0] | table[i].word[1])
			insert(t, more, table[i]);
	free(table);
	table = t;
	room = more;
}

int __wrap_cof_aead_seal(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
			 size_t aad_len, const void *in, size_t n, void *out)
{
	struct iovec iov[2] = {{keys[find_key(a)].id, COF_HASH}, {(void *)(uintptr_t)nonce, COF_NONCE}};
	uint8_t hash[COF_HASH];
	struct used u;

	if (2 * used >= room)
		grow();
	cof_sha256v(iov, 2, hash);
	memcpy(&u, hash, sizeof(u));
	sealed++;
	if (insert(table, room, u))
		used++;
	else
		repeated++;
	return __real_cof_aead_seal(a, nonce, aad, aad_len, in, n, out);
}
