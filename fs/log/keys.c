/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payload keys and the seal: docs/format.md 7.4 and 7.5. Everything on the way to a key is wiped.
 */
#include "fs/log/log.h"

#define LABEL(s) (s), (sizeof(s) - 1)

struct info { /* what a key is for: a label and what follows it */
	uint8_t bytes[96];
	size_t len;
};

static void put(struct info *i, const void *p, size_t n)
{
	memcpy(i->bytes + i->len, p, n);
	i->len += n;
}

static void put_u64(struct info *i, uint64_t v)
{
	cof_put_le64(i->bytes + i->len, v);
	i->len += 8;
}

static void put_u32(struct info *i, uint32_t v)
{
	cof_put_le32(i->bytes + i->len, v);
	i->len += 4;
}

int cof_key_object(const uint8_t h[COF_KEY], const uint8_t r[COF_KEY], uint64_t object,
		   uint8_t ret[COF_KEY])
{
	uint8_t ikm[2 * COF_KEY];
	struct info info = {.len = 0};
	int err;

	put(&info, LABEL("coffer/1 file key"));
	put_u64(&info, object);
	memcpy(ikm, h, COF_KEY);
	memcpy(ikm + COF_KEY, r, COF_KEY);
	err = cof_hkdf(NULL, 0, ikm, sizeof(ikm), info.bytes, info.len, ret, COF_KEY);
	cof_wipe(ikm, sizeof(ikm));
	return err;
}

int cof_key_payload(const uint8_t object_key[COF_KEY], const uint8_t salt[32],
		    const uint8_t archive_id[16], uint64_t object, uint32_t mount,
		    uint8_t ret[COF_KEY])
{
	struct info info = {.len = 0};

	put(&info, LABEL("coffer/1 payload key"));
	put(&info, archive_id, 16);
	put_u64(&info, object);
	put_u32(&info, mount);
	return cof_hkdf(salt, 32, object_key, COF_KEY, info.bytes, info.len, ret, COF_KEY);
}

void cof_key_commitment(const uint8_t payload_key[COF_KEY], const uint8_t archive_id[16],
			uint64_t object, uint32_t mount, uint8_t ret[COF_HASH])
{
	struct info info = {.len = 0};
	struct iovec iov;

	put(&info, LABEL("coffer/1 commitment"));
	put(&info, archive_id, 16);
	put_u64(&info, object);
	put_u32(&info, mount);
	iov = (struct iovec){info.bytes, info.len};
	cof_hmac(payload_key, COF_KEY, &iov, 1, ret);
}

int cof_seal_epoch_next(const uint8_t epoch_secret[COF_KEY], uint8_t ret[COF_KEY])
{
	return cof_hkdf(NULL, 0, epoch_secret, COF_KEY, LABEL("coffer/1 seal epoch"), ret, COF_KEY);
}

int cof_seal_mount_key(const uint8_t epoch_secret[COF_KEY], const uint8_t salt[32],
		       const uint8_t archive_id[16], uint8_t ret[COF_KEY])
{
	struct info info = {.len = 0};

	put(&info, LABEL("coffer/1 seal mount"));
	put(&info, archive_id, 16);
	return cof_hkdf(salt, 32, epoch_secret, COF_KEY, info.bytes, info.len, ret, COF_KEY);
}

int cof_seal_mix_start(const uint8_t k[COF_KEY], uint8_t ret[COF_KEY])
{
	return cof_hkdf(NULL, 0, k, COF_KEY, LABEL("coffer/1 seal mix"), ret, COF_KEY);
}

int cof_seal_mix(const uint8_t k[COF_KEY], const uint8_t mixed[COF_KEY], uint8_t ret[COF_KEY])
{
	return cof_hkdf(k, COF_KEY, mixed, COF_KEY, LABEL("coffer/1 seal mix"), ret, COF_KEY);
}

void cof_seal_mix_proof(const uint8_t mixed[COF_KEY], const uint8_t archive_id[16], const uint8_t salt[32],
			uint64_t mixed_at, uint8_t ret[COF_MIX_PROOF])
{
	struct info info = {.len = 0};
	uint8_t mac[COF_HASH];
	struct iovec iov;

	put(&info, LABEL("coffer/1 seal mixed"));
	put(&info, archive_id, 16);
	put(&info, salt, 32);
	put_u64(&info, mixed_at);
	iov = (struct iovec){info.bytes, info.len};
	cof_hmac(mixed, COF_KEY, &iov, 1, mac);
	memcpy(ret, mac, COF_MIX_PROOF);
}

void cof_seal_ratchet(uint8_t k[COF_KEY])
{
	uint8_t ratchet[1 + COF_KEY], next[COF_HASH];

	ratchet[0] = 0x02;
	memcpy(ratchet + 1, k, COF_KEY);
	cof_sha256(ratchet, sizeof(ratchet), next);
	memcpy(k, next, COF_KEY);
	cof_wipe(ratchet, sizeof(ratchet));
	cof_wipe(next, sizeof(next));
}

void cof_seal_tag(uint8_t k[COF_KEY], const uint8_t header[COF_FRAME_HEADER],
		  const uint8_t previous[COF_HASH], uint8_t ret_tag[16])
{
	uint8_t entry[COF_FRAME_HEADER + COF_HASH], mac[COF_HASH];
	struct iovec iov = {entry, sizeof(entry)};

	memcpy(entry, header, COF_FRAME_HEADER);
	memset(entry + 104, 0, 16);
	memset(entry + 124, 0, 4);
	memcpy(entry + COF_FRAME_HEADER, previous, COF_HASH);
	cof_hmac(k, COF_KEY, &iov, 1, mac);
	memcpy(ret_tag, mac, 16);
	cof_wipe(mac, sizeof(mac));
	cof_seal_ratchet(k);
}
