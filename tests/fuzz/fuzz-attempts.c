/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal/attempts: what counts wrong passphrases, in a file that anybody with the store may have changed.
 * The hash at its end is made right here, or nothing behind it would ever be met.
 */
#include "fuzz.h"

#include "fs/archive/door.h"

const unsigned fuzz_runs = 40000;

static const uint8_t archive[16] = "an archive's id";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf b = {0};
	static struct cof_door d;
	uint8_t hash[COF_HASH];
	int err;

	fuzz_check(cof_door_load(archive, data, n, &d) != 0 || n > COF_HASH);
	if (n < COF_HASH)
		return 0;
	cof_buf_add(&b, data, n - COF_HASH);
	cof_sha256(data, n - COF_HASH, hash);
	cof_buf_add(&b, hash, sizeof(hash));
	if (b.failed)
		return 0;
	memset(&d, 0x77, sizeof(d));
	err = cof_door_load(archive, b.data, b.len, &d);
	fuzz_check(err == 0 || err == -EUCLEAN || err == -EXDEV);
	fuzz_check(err == 0 || d.failures == 0x77777777);
	if (err)
		return 0;
	fuzz_check(d.events.n <= COF_OPENER_EVENTS);
	for (size_t i = 0; i < d.events.n; i++)
		fuzz_check(memchr(d.events.event[i].command, 0, sizeof(d.events.event[i].command)));
	return 0;
}

static void seed(const struct cof_opener_event *events, size_t n, bool trying, int64_t locked)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t head[32] = "COFDOOR1", one[COF_OPENER_EVENT_LEN + COF_OPENER_COMMAND], hash[COF_HASH] = {0};

	head[8] = 1;
	memcpy(head + 16, archive, sizeof(archive));
	cof_buf_add(&b, head, sizeof(head));
	cof_field_put_u32(&b, 1, 2);
	if (locked)
		cof_field_put_i64(&b, 2, locked);
	cof_field_put_u32(&b, 3, 1);
	for (size_t i = 0; i < n; i++)
		cof_field_put(&b, trying && i == 0 ? 4 : 5, one, cof_opener_event_store(&events[i], one));
	fuzz_check(!b.failed);
	cof_put_le32(b.data + 12, (uint32_t)(b.len - sizeof(head)));
	cof_buf_add(&b, hash, sizeof(hash));
	fuzz_seed(b.data, b.len);
}

void fuzz_seeds(void)
{
	struct cof_opener_event e[COF_OPENER_EVENTS] = {
	    {.what = COF_OPENER_FAILED, .kind = 1, .count = 3, .first = 1, .last = 2, .command = "coffer"},
	    {.what = COF_OPENER_UNLOCKED, .how = COF_HOW_IDENTITY, .count = 1, .command = "a longer name.."},
	};

	seed(e, 0, false, 0);
	seed(e, 2, true, 1700000000);
	seed(e, COF_OPENER_EVENTS, false, INT64_MAX);
}
