/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault carries out what was destroyed, with its power cut at each operation: whenever there is a receipt, keys and bytes are
 * gone, and a second try ends what was begun. What comes from before is punctured when it is taken.
 */
#include "../log/world.h"

#include "crypto/age.h"
#include "fs/rules/receipt.h"
#include "tools/vault/internal.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FROM = 65536, KEPT = 65537, GONE = 65540, ALSO_GONE = 65541, OLD = 9 };
static const uint64_t all[] = {OLD, KEPT, GONE, ALSO_GONE};
#define FRAMES 3u /* of each of them */

static struct world w;
static struct vault_place place;
static struct cof_buf keys; /* the tree R, sealed to the vault */
static uint64_t size;
static uint8_t root[COF_HASH];
static uint8_t request[32] = {42};

/* ---- an archive that destroyed something, as a copy of it lies at a vault ---- */

static void destroyed(uint64_t object)
{
	struct cof_append a = {.frame = {.type = COF_DESTROY, .version = 1, .object = object}};
	cof_autobuf struct cof_buf fields = {0};
	uint8_t out[256];

	cof_field_put(&fields, COF_T_REQUEST, request, sizeof(request));
	cof_field_put_u64(&fields, COF_T_DESTROYED_FRAMES, FRAMES);
	cof_field_put_u64(&fields, COF_T_DESTROYED_BYTES, 0);
	ck_assert_int_eq(cof_payload_seal(&a.frame, NULL, w.conf.id, fields.data, (uint32_t)fields.len, NULL, out), 0);
	a.stored = out;
	ck_assert_int_eq(cof_log_append(w.log, &a), 0);
}

static void note_head(void)
{
	struct cof_checkpoint head;
	const uint8_t *note;
	size_t n = 0;

	ck_assert_int_eq(cof_sim_peek(w.sim, "checkpoint", &note, &n), 0);
	ck_assert_int_eq(cof_checkpoint_open(note, n, &w.conf.vkey, &head), 0);
	size = head.size;
	memcpy(root, head.root, COF_HASH);
}

/* docs/format.md 7.12: one entry, of depth 8, from FROM on. */
static void make_keys(void)
{
	uint8_t to[1][COF_AGE_KEY], plain[32 + 3 + 41] = "COFVAUR1";
	cof_autobuf struct cof_buf line = {0};

	cof_put_le64(plain + 8, FROM);
	memcpy(plain + 16, w.conf.id, 16);
	plain[32] = 2;
	plain[33] = 41;
	plain[35] = 8;
	cof_put_le64(plain + 36, FROM >> 16);
	memset(plain + 44, 7, COF_KEY);
	ck_assert_int_eq(vault_recipient_line(&place, &line), 0);
	ck_assert_int_eq(cof_age_recipient_parse((const char *)line.data, VAULT_RECIPIENT - 1, to[0]), 0);
	ck_assert_int_eq(cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])to, 1, plain, sizeof(plain), NULL, &keys), 0);
}

static void note_ending(struct cof_io *io)
{
	struct vault_ending e = {.n = 0};
	struct vault_ended one = {.size = size};

	memcpy(one.root, root, COF_HASH);
	memcpy(one.request, request, sizeof(request));
	for (unsigned i = 0; i < 3; i++) {
		one.inode = (const uint64_t[]){GONE, OLD, ALSO_GONE}[i];
		one.sequence = 2 + FRAMES * COF_COUNT(all) + i;
		ck_assert_int_eq(vault_ending_add(&e, &one), 0);
	}
	ck_assert_int_eq(vault_ending_save(io, &e), 0);
	vault_ending_done(&e);
}

static void begin(void)
{
	uint8_t key[32];
	struct cof_io *io = NULL;

	ck_assert_int_eq(world_begin(&w, 7), 0);
	for (unsigned k = 0; k < FRAMES; k++)
		for (size_t i = 0; i < COF_COUNT(all); i++)
			ck_assert_int_eq(world_seal(&w, all[i], 9000, NULL), 0);
	destroyed(GONE);
	destroyed(OLD);
	destroyed(ALSO_GONE);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	world_close(&w);
	note_head();
	place = (struct vault_place){.seed = cof_secret_alloc(COF_KEY)};
	memset(place.seed, 5, COF_KEY);
	ck_assert_int_eq(cof_ed25519_public(place.seed, key), 0);
	ck_assert_int_eq(cof_vkey_make("vault.example/b", COF_NOTE_COSIG, key, &place.vkey), 0);
	make_keys();
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	ck_assert_int_eq(vault_keys_take(&place, io, w.conf.id, keys.data, keys.len, NULL), 0);
	note_ending(io);
	cof_io_free(io);
}

static void end(void)
{
	cof_secret_free(place.seed);
	cof_buf_done(&keys);
	world_end(&w);
}

/* ---- what is there ---- */

/* Bytes of payloads of an object that are not zero. */
static uint64_t bytes_of(struct cof_io *io, uint64_t object)
{
	struct cof_reader *r = NULL;
	uint8_t payload[16384];
	uint64_t at = 0, n = 0;
	struct cof_frame f;

	ck_assert_int_eq(cof_reader_new(io, &w.conf, &r), 0);
	cof_reader_walk(r, true);
	while (cof_reader_header(r, at, &f, NULL, NULL) == 0) {
		if (f.type == COF_APPEND && f.object == object) {
			ck_assert_int_eq(cof_reader_payload(r, at, &f, 0, payload, f.stored), 0);
			for (uint32_t i = f.public_length; i < f.stored; i++)
				n += payload[i] != 0;
		}
		if (cof_reader_next(r, at, &f, &at) < 0)
			break;
	}
	cof_reader_free(r);
	return n;
}

static uint64_t leads_to(struct cof_io *io, uint64_t inode)
{
	cof_autosecret uint8_t(*id)[COF_AGE_KEY] = cof_secret_alloc(COF_AGE_KEY);
	cof_autosecret void *held = NULL;
	cof_autobuf struct cof_buf sealed = {0};
	uint8_t to[COF_AGE_KEY];
	uint64_t n = 0;
	size_t len = 0;
	void *plain = NULL;

	memset(id[0], 3, COF_AGE_KEY);
	ck_assert_int_eq(cof_x25519_public(id[0], to), 0);
	ck_assert_int_eq(vault_keys_give(&place, io, w.conf.id, NULL, to, &sealed, NULL), 0);
	ck_assert_int_eq(cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])id, 1, sealed.data, sealed.len, &plain, &len), 0);
	held = plain;
	ck_assert_int_eq(cof_keys_vault_leads(w.conf.id, plain, len, &(struct cof_inode_range){inode, 1}, 1, &n), 0);
	return n;
}

static bool has_receipt(struct cof_io *io)
{
	cof_autobuf struct cof_buf text = {0};

	return vault_receipt_untold(io, 0, &text) == 0;
}

static int count_one(void *user, const char *name)
{
	const char *end = strstr(name, ".receipt");

	*(unsigned *)user += end && !strcmp(end, ".receipt");
	return 0;
}

static unsigned signed_ones(struct cof_io *io)
{
	unsigned n = 0;

	ck_assert_int_eq(cof_io_list(io, "receipts", count_one, &n), 0);
	return n;
}

static void check_gone(struct cof_io *io)
{
	ck_assert_uint_eq(bytes_of(io, GONE) + bytes_of(io, ALSO_GONE) + bytes_of(io, OLD), 0);
	ck_assert_uint_eq(leads_to(io, GONE) + leads_to(io, ALSO_GONE), 0);
}

static void check_kept(struct cof_io *io)
{
	ck_assert_uint_gt(bytes_of(io, KEPT), 8000 * FRAMES);
	ck_assert_uint_eq(leads_to(io, KEPT), 1);
}

static void check_receipt(struct cof_io *io)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_receipt r;
	struct cof_diag diag = {""};

	ck_assert_int_eq(vault_receipt_untold(io, 0, &text), 0);
	ck_assert_msg(cof_receipt_read(text.data, text.len, &r, &diag) == 0, "%s", diag.text);
	ck_assert(!memcmp(r.request, request, 32) && !memcmp(r.root, root, 32) && r.size == size);
	ck_assert(cof_receipt_names(&r, OLD) && cof_receipt_names(&r, GONE) && cof_receipt_names(&r, ALSO_GONE) && !cof_receipt_names(&r, KEPT));
	ck_assert_uint_eq(cof_receipt_objects(&r), 3);
	ck_assert_uint_eq(r.from, FROM);
	ck_assert_uint_eq(r.leaves, 2);
	ck_assert_uint_eq(r.frames, 3 * FRAMES);
	ck_assert_uint_gt(r.bytes, 3 * FRAMES * 9000);
	ck_assert_int_eq(r.key, COF_RECEIPT_FILE);
	cof_receipt_done(&r);
}

static int is_named(void *user, const char *name)
{
	(void)user;
	ck_assert_msg(!strcmp(name, "newest") || (strlen(name) == 68 && !strcmp(name + 64, ".age")), "%s is left", name);
	return 0;
}

/* Nothing else lies among the trees. */
static void only_named(struct cof_io *io)
{
	ck_assert_int_eq(cof_io_list(io, "keys", is_named, NULL), 0);
}

/* ---- a host that has it all still mends the first segment ---- */

static int asked_of(struct cof_io *host)
{
	static const uint8_t asked[8 + 8 + 8 + 1] = {[0] = 8, [4] = VAULT_DAMAGE, [16] = 1, [20] = VAULT_DONE, [24] = 'x'};
	struct vault_wire line = {.in = memfd_create("asked", MFD_CLOEXEC), .out = memfd_create("said", MFD_CLOEXEC), .timeout_ms = 5000};
	struct vault_source *s = NULL;
	struct cof_diag d = {""};
	unsigned segments = 0;
	uint64_t bytes = 0;

	ck_assert_int_eq(cof_write_all(line.in, asked, sizeof(asked)), 0);
	ck_assert_int_eq(lseek(line.in, 0, SEEK_SET), 0);
	ck_assert_int_eq(vault_source_open(host, &s, &d), 0);
	ck_assert_msg(vault_send_mending(&line, s, &segments, &bytes, &d) == 0, "%s", d.text);
	vault_source_free(s);
	close(line.in);
	ck_assert_int_eq(lseek(line.out, 0, SEEK_SET), 0);
	return line.out;
}

static void mend_by(struct cof_io *host, struct cof_io *io)
{
	struct vault_wire line = {.in = asked_of(host), .out = memfd_create("answer", MFD_CLOEXEC), .timeout_ms = 5000};
	const struct vault_damage damage = {.segment = {0}, .n = 1};
	struct cof_diag d = {""};
	unsigned mended = 0;

	ck_assert_int_eq(vault_damage_save(io, &damage), 0);
	ck_assert_msg(vault_take_mending(&line, io, &mended, &d) == 0, "%s", d.text);
	ck_assert_uint_eq(mended, 1);
	close(line.in);
	close(line.out);
}

/* ---- tests ---- */

static int carry(struct cof_io *io, unsigned *ret)
{
	struct cof_diag diag = {""};
	int r = vault_carry_out(&place, io, ret, &diag);

	ck_assert_msg(r == 0 || *diag.text, "no word of why");
	return r;
}

/* One operation after the other is the last before the power goes. False: it went through before. */
static bool cut_at(uint64_t op, enum cof_sim_loss loss)
{
	struct cof_sim *sim = cof_sim_clone(w.sim);
	struct cof_io *io = NULL;
	unsigned n = 0;
	bool through;

	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	cof_sim_plan(sim, COF_SIM_CRASH, cof_sim_ops(sim) + op);
	through = carry(io, &n) == 0;
	cof_io_free(io);
	cof_sim_reboot(sim, loss);
	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	if (has_receipt(io))
		check_gone(io);
	check_kept(io);
	ck_assert_int_eq(carry(io, &n), 0);
	check_gone(io);
	check_kept(io);
	check_receipt(io);
	ck_assert_uint_eq(signed_ones(io), 1);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_uint_eq(n, 0);
	cof_io_free(io);
	cof_sim_free(sim);
	return !through;
}

START_TEST(power_goes)
{
	uint64_t op = 1, step = getenv("COFFER_LONG") ? 1 : 5;

	begin();
	for (int loss = COF_SIM_KEEP; loss <= COF_SIM_TEAR; loss++)
		for (op = 1 + (uint64_t)loss; cut_at(op, (enum cof_sim_loss)loss); op += step)
			;
	ck_assert_uint_gt(op, 10);
	end();
}
END_TEST

/* Killed, or a sync failed; then tried again and signed; then the power goes: what was signed has to be on the disk. */
static bool again_at(uint64_t op, enum cof_sim_fault fault)
{
	struct cof_sim *sim = cof_sim_clone(w.sim);
	struct cof_io *io = NULL;
	unsigned n = 0;
	bool through;

	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	cof_sim_plan(sim, fault, cof_sim_ops(sim) + op);
	through = carry(io, &n) == 0;
	cof_io_free(io);
	cof_sim_reboot(sim, COF_SIM_KEEP);
	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	ck_assert_int_eq(carry(io, &n), 0);
	check_receipt(io);
	cof_io_free(io);
	cof_sim_reboot(sim, COF_SIM_LOSE);
	ck_assert_int_eq(cof_sim_open(sim, &io), 0);
	check_gone(io);
	check_kept(io);
	only_named(io);
	cof_io_free(io);
	cof_sim_free(sim);
	return !through;
}

START_TEST(power_goes_behind_the_receipt)
{
	uint64_t op;

	begin();
	for (op = 1; again_at(op, COF_SIM_CRASH); op++)
		;
	ck_assert_uint_gt(op, 10);
	for (op = 1; again_at(op, COF_SIM_EIO_SYNC); op++)
		;
	ck_assert_uint_gt(op, 10);
	end();
}
END_TEST

/* What was destroyed does not come back with a segment that is mended, and not out of what a session before left of one. */
START_TEST(mended)
{
	struct cof_sim *before;
	struct cof_io *io = NULL, *host = NULL;
	struct cof_file *left = NULL;
	uint8_t bytes[4096];
	unsigned n = 0;
	size_t got = 0;

	begin();
	before = cof_sim_clone(w.sim);
	ck_assert_int_eq(cof_sim_open(before, &host), 0);
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	memset(bytes, 7, sizeof(bytes));
	ck_assert_int_eq(cof_io_create(io, "mend.seg", &left), 0);
	ck_assert_int_eq(cof_io_write(left, bytes, sizeof(bytes), 0), 0);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_int_eq(cof_io_exists(io, "mend.seg"), 0);
	ck_assert_int_eq(cof_io_read(left, bytes, sizeof(bytes), 0, &got), 0);
	ck_assert_uint_eq(got, sizeof(bytes));
	for (size_t i = 0; i < got; i++)
		ck_assert_uint_eq(bytes[i], 0);
	cof_io_close(left);
	mend_by(host, io);
	check_gone(io);
	check_kept(io);
	ck_assert_uint_gt(bytes_of(host, GONE), 8000 * FRAMES);
	cof_io_free(host);
	cof_io_free(io);
	cof_sim_free(before);
	end();
}
END_TEST

/* A session that brought a tree was cut off before its name: what it wrote is overwritten, not only unlinked. */
START_TEST(left_by_a_session)
{
	char again[128] = "keys/";
	uint8_t digest[COF_HASH];
	struct cof_io *io = NULL;
	struct cof_file *left = NULL;
	uint8_t bytes[4096];
	unsigned n = 0;
	size_t got = 0;

	begin();
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	ck_assert_int_eq(cof_io_create(io, "keys/00ff.age.new", &left), 0);
	ck_assert_int_eq(cof_io_write(left, keys.data, keys.len, 0), 0);
	ck_assert_int_eq(carry(io, &n), 0);
	only_named(io);
	ck_assert_int_eq(cof_io_read(left, bytes, sizeof(bytes), 0, &got), 0);
	ck_assert_uint_eq(got, keys.len);
	for (size_t i = 0; i < got; i++)
		ck_assert_uint_eq(bytes[i], 0);
	cof_io_close(left);
	check_gone(io);
	/* the same when it is brought again */
	cof_buf_done(&keys);
	make_keys();
	cof_sha256(keys.data, keys.len, digest);
	cof_hex(digest, COF_HASH, again + 5);
	strcat(again, ".age.new");
	ck_assert_int_eq(cof_io_create(io, again, &left), 0);
	ck_assert_int_eq(cof_io_write(left, keys.data, keys.len, 0), 0);
	ck_assert_int_eq(vault_keys_take(&place, io, w.conf.id, keys.data, keys.len, NULL), 0);
	only_named(io);
	ck_assert_int_eq(cof_io_read(left, bytes, sizeof(bytes), 0, &got), 0);
	ck_assert_uint_eq(got, keys.len);
	for (size_t i = 0; i < got; i++)
		ck_assert_uint_eq(bytes[i], 0);
	cof_io_close(left);
	cof_io_free(io);
	end();
}
END_TEST

START_TEST(from_before)
{
	cof_autobuf struct cof_buf first = {0};
	uint8_t digest[1][COF_HASH], other[1][COF_HASH] = {{0}};
	struct cof_io *io = NULL;
	unsigned n = 0;

	begin();
	cof_buf_add(&first, keys.data, keys.len);
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	ck_assert_uint_eq(leads_to(io, GONE), 1);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_uint_eq(n, 1);
	/* the same once more, and the same tree sealed anew: what was destroyed is not let in */
	ck_assert_int_eq(vault_keys_take(&place, io, w.conf.id, first.data, first.len, NULL), 0);
	ck_assert_uint_eq(leads_to(io, GONE), 0);
	cof_buf_done(&keys);
	make_keys();
	ck_assert_int_eq(vault_keys_take(&place, io, w.conf.id, keys.data, keys.len, NULL), 0);
	ck_assert_uint_eq(leads_to(io, GONE), 0);
	check_kept(io);
	/* it is sent until the host's own log has it */
	first.len = 0;
	ck_assert_int_eq(vault_receipt_untold(io, 0, &first), 0);
	cof_sha256(first.data, first.len, digest[0]);
	ck_assert_int_eq(vault_receipts_told(io, (const uint8_t(*)[COF_HASH])other, 1), 0);
	ck_assert(has_receipt(io));
	ck_assert_int_eq(vault_receipts_told(io, (const uint8_t(*)[COF_HASH])digest, 1), 0);
	ck_assert(!has_receipt(io));
	cof_io_free(io);
	end();
}
END_TEST

/* Cut behind the receipt: what is tried again signs the same, and not once more with another time. */
START_TEST(signed_once)
{
	cof_autobuf struct cof_buf first = {0}, again = {0};
	uint8_t digest[1][COF_HASH];
	struct cof_io *io = NULL;
	unsigned n = 0;

	begin();
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_int_eq(vault_receipt_untold(io, 0, &first), 0);
	note_ending(io);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_uint_eq(signed_ones(io), 1);
	ck_assert_int_eq(vault_receipt_untold(io, 0, &again), 0);
	ck_assert(again.len == first.len && !memcmp(again.data, first.data, first.len));
	ck_assert_int_eq(vault_receipt_untold(io, 1, &again), -ENOENT);
	/* on record at the host, and tried once more: it is not told again */
	cof_sha256(first.data, first.len, digest[0]);
	ck_assert_int_eq(vault_receipts_told(io, (const uint8_t(*)[COF_HASH])digest, 1), 0);
	note_ending(io);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_uint_eq(signed_ones(io), 1);
	ck_assert(!has_receipt(io));
	/* what differs in more than its times is another one */
	request[0] ^= 1;
	note_ending(io);
	ck_assert_int_eq(carry(io, &n), 0);
	request[0] ^= 1;
	ck_assert_uint_eq(signed_ones(io), 2);
	ck_assert(has_receipt(io));
	cof_io_free(io);
	end();
}
END_TEST

/* More than a session takes, all of which the host refuses: each is sent all the same, and there is room for many. */
START_TEST(in_turn)
{
	enum { N = VAULT_RECEIPTS + 7, MANY = 17000 };
	cof_autobuf struct cof_buf lines = {0};
	struct cof_io *io = NULL;
	bool sent[N] = {false};
	char text[32];

	begin();
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	for (unsigned i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%u", i);
		ck_assert_int_eq(vault_receipt_keep(io, text, strlen(text), NULL), 0);
	}
	for (unsigned session = 0; session < 2; session++) {
		for (size_t i = 0; i < VAULT_RECEIPTS; i++) {
			cof_autobuf struct cof_buf one = {0};

			ck_assert_int_eq(vault_receipt_untold(io, i, &one), 0);
			cof_buf_add(&one, "", 1);
			sent[strtoul((const char *)one.data, NULL, 10)] = true;
		}
		ck_assert_int_eq(vault_receipts_turn(io), 0);
	}
	for (unsigned i = 0; i < N; i++)
		ck_assert_msg(sent[i], "%u was not sent", i);
	for (unsigned i = 0; i < MANY; i++)
		cof_buf_printf(&lines, "%064x\n", i);
	ck_assert_int_eq(cof_io_replace(io, "receipts/untold", lines.data, lines.len), 0);
	ck_assert_int_eq(vault_receipt_keep(io, "one more", 8, NULL), 0);
	cof_io_free(io);
	end();
}
END_TEST

/* Noted under a head that was never signed: nothing is done by it. */
START_TEST(not_signed)
{
	struct cof_io *io = NULL;
	unsigned n = 0;

	begin();
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	root[0] ^= 1;
	note_ending(io);
	ck_assert_int_eq(carry(io, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(leads_to(io, GONE), 1);
	ck_assert_uint_gt(bytes_of(io, GONE), 8000 * FRAMES);
	cof_io_free(io);
	end();
}
END_TEST

/* A tree R of another archive, found in the place of this one's: it is said, and nothing is freed twice. */
START_TEST(of_another_archive)
{
	const struct vault_ranges gone = {.n = 0};
	struct cof_diag diag = {""};
	struct cof_io *io = NULL;
	uint8_t other[16] = {0};
	uint64_t from = 0;

	begin();
	memcpy(other, w.conf.id, sizeof(other));
	other[0] ^= 1;
	ck_assert_int_eq(cof_sim_open(w.sim, &io), 0);
	ck_assert_int_eq(vault_keys_puncture(&place, io, other, &gone, &from, &diag), -EXDEV);
	ck_assert_str_eq(diag.text, "the tree R that came is another archive's");
	ck_assert_int_eq(vault_keys_take(&place, io, other, keys.data, keys.len, NULL), -EXDEV);
	cof_io_free(io);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vault destroy");
	TCase *c = tcase_create("carried out");
	SRunner *r;
	int failed;

	if (cof_crypto_init(4u << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(c, 120);
	tcase_add_test(c, power_goes);
	tcase_add_test(c, power_goes_behind_the_receipt);
	tcase_add_test(c, mended);
	tcase_add_test(c, left_by_a_session);
	tcase_add_test(c, from_before);
	tcase_add_test(c, signed_once);
	tcase_add_test(c, in_turn);
	tcase_add_test(c, not_signed);
	tcase_add_test(c, of_another_archive);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK); /* locked memory does not survive a fork */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
