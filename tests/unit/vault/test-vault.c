/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions between a host and a vault: everything arrives and verifies; a line that is cut, lies, or a disk that dies
 * loses nothing that was cosigned and makes nothing whole that is not; a fork and an old state are told apart.
 */
#include "pair.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

static struct world w;
static struct far far;

static void put_some(unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(world_put(&w, from + i, (from + i) % 5 == 4 ? 30000 : 700 + 13 * i, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
}

static void begin(void)
{
	ck_assert_int_eq(world_begin(&w, 5), 0);
	put_some(1, 12);
	far_begin(&far, &w);
}

static void end(void)
{
	far_end(&far);
	world_end(&w);
}

static uint64_t newest(void)
{
	struct cof_log_status s;

	cof_log_status(w.log, &s);
	return s.checkpoint_size;
}

/* A session that has to work; gives what was sent. */
static struct vault_sent sync_all(void)
{
	struct vault_sent sent;
	struct cof_diag d = {""};
	struct cof_verified v;
	struct cof_note note;
	int r = far_sync(&far, w.io, NULL, &sent, &d);

	ck_assert_msg(r == 0, "%s; vault: %s", d.text, far.diag.text);
	ck_assert_int_eq(far.err, 0);
	ck_assert_int_eq(cof_note_open(sent.note, strlen(sent.note), &far.vkey, 1, &note), 0);
	ck_assert_uint_eq(note.time[0], far.time - 1);
	ck_assert_int_eq(far_verify(&far, &v), COF_INTACT);
	ck_assert_uint_eq(v.frames, newest());
	vault_sent_done(&sent);
	return sent;
}

/* That has to work; what the host says in it. */
static uint64_t bytes_of_a_session(void)
{
	struct line line = {0};
	struct vault_sent sent;
	struct cof_diag d = {""};

	ck_assert_int_eq(far_sync(&far, w.io, &line, &sent, &d), 0);
	vault_sent_done(&sent);
	return line.bytes;
}

static void same_log(void)
{
	for (unsigned i = 0; i < 8; i++) {
		const uint8_t *here, *there;
		size_t n = 0, m = 0;
		char path[32];

		snprintf(path, sizeof(path), "log/%08x.seg", i);
		if (cof_sim_peek(far.sim, path, &there, &m) < 0)
			continue;
		ck_assert_int_eq(cof_sim_peek(w.sim, path, &here, &n), 0);
		ck_assert_uint_le(m, n);
		ck_assert_mem_eq(here, there, m);
	}
}

START_TEST(everything_arrives)
{
	struct vault_sent sent;
	uint64_t before;

	begin();
	before = newest();
	sent = sync_all();
	ck_assert_uint_eq(sent.frames, before);
	ck_assert(!sent.nothing);
	same_log();
	sent = sync_all();
	ck_assert(sent.nothing);
	ck_assert_uint_eq(sent.bytes, 0);
	put_some(100, 9);
	sent = sync_all();
	ck_assert_uint_eq(sent.frames, newest() - before);
	same_log();
	end();
}
END_TEST

/* Cut after each number of bytes: what had arrived is not sent again, and nothing half counts. */
START_TEST(a_cut_line)
{
	uint64_t all;

	begin();
	all = bytes_of_a_session();
	far_end(&far);
	for (uint64_t cut = 1; cut < all; cut += 1 + cut % 1009) {
		struct line line = {.cut = cut};
		struct vault_sent sent;
		struct cof_diag d = {""};
		int r;

		far_begin(&far, &w);
		r = far_sync(&far, w.io, &line, &sent, &d);
		vault_sent_done(&sent);
		ck_assert_int_lt(r, 0);
		ck_assert(d.text[0]);
		ck_assert_uint_eq(far_head(&far), 0);
		sent = sync_all();
		same_log();
		/* at the byte: all that had come of the log is kept; HELLO's and HEAD's bytes are not of it */
		ck_assert_uint_le(sent.bytes + cut, all + 800);
		far_end(&far);
	}
	world_end(&w);
}
END_TEST

static void cut_once(struct line line)
{
	struct vault_sent sent;
	struct cof_diag d = {""};
	uint64_t seen;
	int r;

	far_begin(&far, &w);
	r = far_sync(&far, w.io, &line, &sent, &d);
	seen = r == 0 ? sent.size : 0;
	vault_sent_done(&sent);
	ck_assert(r == 0 || d.text[0]);
	ck_assert(far_head(&far) == 0 || far_head(&far) == newest());
	if (seen)
		ck_assert_uint_eq(far_head(&far), seen); /* what the host was told is so */
	(void)sync_all();
	same_log();
	far_end(&far);
}

/* Behind every message that either side says, a byte before and a byte behind; and at 500 drawn bytes of both. */
START_TEST(cut_everywhere)
{
	uint64_t forth[LINE_MESSAGES], back[LINE_MESSAGES], state = 88;
	struct line whole = {.boundary = forth, .boundary_back = back};
	struct vault_sent sent;
	struct cof_diag d = {""};

	begin();
	ck_assert_int_eq(far_sync(&far, w.io, &whole, &sent, &d), 0);
	vault_sent_done(&sent);
	far_end(&far);
	ck_assert_uint_ge(whole.n_boundary, 4); /* HEAD, DATA, PROOF, END */
	ck_assert_uint_eq(whole.n_back, 3);	/* STATE, RESUME, DONE */
	for (int off = -1; off <= 1; off++) {
		for (unsigned i = 0; i < whole.n_boundary; i++)
			cut_once((struct line){.cut = forth[i] + (uint64_t)off});
		for (unsigned i = 0; i < whole.n_back; i++)
			cut_once((struct line){.cut_back = back[i] + (uint64_t)off});
	}
	for (unsigned i = 0; i < 500; i++) {
		uint64_t at;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
		at = 1 + (state >> 20) % (whole.bytes + whole.bytes_back);
		cut_once(at <= whole.bytes ? (struct line){.cut = at} : (struct line){.cut_back = at - whole.bytes});
	}
	world_end(&w);
}
END_TEST

/* The same behind a head that was confirmed: it is found again whatever came behind it. */
START_TEST(a_cut_line_later)
{
	uint64_t head;

	begin();
	(void)sync_all();
	head = newest();
	for (unsigned round = 0; round < 40; round++) {
		struct line line = {.cut = 500 + (uint64_t)round * 331};
		struct vault_sent sent;
		struct cof_diag d = {""};

		put_some(1000 + 10 * round, 7);
		ck_assert_int_lt(far_sync(&far, w.io, &line, &sent, &d), 0);
		vault_sent_done(&sent);
		ck_assert_uint_eq(far_head(&far), head);
		if (round % 4 != 3)
			continue;
		(void)sync_all();
		same_log();
		head = newest();
	}
	end();
}
END_TEST

/* All had come, and the end had not: what is confirmed then is on the disk, whoever wrote it. */
START_TEST(an_end_that_came_later)
{
	struct line line = {0};
	struct vault_sent sent;
	struct cof_diag d = {""};

	begin();
	line.cut = bytes_of_a_session() - 8;
	far_end(&far);
	far_begin(&far, &w);
	ck_assert_int_lt(far_sync(&far, w.io, &line, &sent, &d), 0);
	vault_sent_done(&sent);
	ck_assert_uint_eq(far_head(&far), 0);
	sent = sync_all();
	ck_assert_uint_eq(sent.bytes, 0);
	cof_io_free(far.io);
	cof_sim_reboot(far.sim, COF_SIM_LOSE);
	ck_assert_int_eq(cof_sim_open(far.sim, &far.io), 0);
	ck_assert_uint_eq(far_head(&far), newest());
	ck_assert_int_eq(far_verify(&far, NULL), COF_INTACT);
	end();
}
END_TEST

/* A byte changes on the way: it is refused, or it was of no weight; never is something wrong taken for whole. */
START_TEST(a_line_that_lies)
{
	uint64_t all;
	unsigned harmless = 0, flips = 0;

	begin();
	all = bytes_of_a_session();
	far_end(&far);
	for (uint64_t flip = 1; flip <= all; flip += 1 + flip % 997) {
		/* a length that grew would be waited for, so the line ends behind what it carried */
		struct line line = {.flip = flip, .cut = all};
		struct vault_sent sent;
		struct cof_diag d = {""};
		int r;

		far_begin(&far, &w);
		r = far_sync(&far, w.io, &line, &sent, &d);
		vault_sent_done(&sent);
		ck_assert_int_lt(r, 0); /* it was not told of the end, at least */
		flips++;
		if (far_head(&far)) { /* of the size that HEAD gives for the progress */
			harmless++;
			ck_assert_uint_eq(far_head(&far), newest());
			ck_assert_int_eq(far_verify(&far, NULL), COF_INTACT);
		}
		(void)sync_all();
		same_log();
		far_end(&far);
	}
	ck_assert_uint_gt(flips, 100);
	ck_assert_uint_le(harmless, 8);
	world_end(&w);
}
END_TEST

/* What the copy's note was cosigned at is in the list, whenever the vault died. */
static void is_listed(void)
{
	cof_autofree uint8_t *note = NULL, *list = NULL;
	struct cof_note n;
	size_t len = 0;
	char line[32];

	if (cof_io_load(far.io, "checkpoint", COF_NOTE_MAX, &note, &len) < 0)
		return;
	ck_assert_int_eq(cof_note_open(note, len, &far.vkey, 1, &n), 0);
	ck_assert_int_eq(cof_io_load(far.io, "list", 4096, &list, &len), 0);
	snprintf(line, sizeof(line), "%llu\n", (unsigned long long)n.time[0]);
	ck_assert_ptr_nonnull(strstr((const char *)list, line));
}

static void crash_at(uint64_t op, enum cof_sim_loss loss)
{
	struct cof_file *list = NULL;
	struct vault_sent sent;
	struct cof_diag d = {""};
	uint64_t seen;
	int r;

	far_begin(&far, &w);
	ck_assert_int_eq(cof_io_create(far.io, "list", &list), 0);
	cof_io_close(list);
	ck_assert_int_eq(cof_io_sync_dir(far.io, ""), 0);
	far.lists = true;
	cof_sim_plan(far.sim, COF_SIM_CRASH, cof_sim_ops(far.sim) + op);
	r = far_sync(&far, w.io, NULL, &sent, &d);
	seen = r == 0 ? sent.size : 0;
	vault_sent_done(&sent);
	cof_io_free(far.io);
	cof_sim_reboot(far.sim, loss);
	ck_assert_int_eq(cof_sim_open(far.sim, &far.io), 0);
	is_listed();
	if (seen)
		ck_assert_uint_eq(far_head(&far), seen); /* what was cosigned is there */
	(void)sync_all();
	far_end(&far);
}

START_TEST(a_vault_that_dies)
{
	uint64_t ops;

	begin();
	ops = cof_sim_ops(far.sim);
	(void)sync_all();
	ops = cof_sim_ops(far.sim) - ops + 2; /* and of the list */
	far_end(&far);
	ck_assert_uint_gt(ops, 20);
	/* the last round: it dies once all of it was confirmed */
	for (uint64_t op = 1; op <= ops + 1; op++) {
		crash_at(op, COF_SIM_KEEP);
		crash_at(op, COF_SIM_LOSE);
		crash_at(op, COF_SIM_TEAR);
	}
	world_end(&w);
}
END_TEST

/* A sync that fails may have lost what it was for, and the next one would not tell: those bytes come again. */
START_TEST(a_sync_that_fails)
{
	unsigned failed = 0;
	uint64_t ops;

	begin();
	ops = cof_sim_ops(far.sim);
	(void)bytes_of_a_session();
	ops = cof_sim_ops(far.sim) - ops;
	far_end(&far);
	for (uint64_t op = 1; op <= ops; op++) {
		struct vault_sent sent;
		struct cof_diag d = {""};
		int r;

		far_begin(&far, &w);
		cof_sim_plan(far.sim, COF_SIM_EIO_SYNC, cof_sim_ops(far.sim) + op);
		r = far_sync(&far, w.io, NULL, &sent, &d);
		vault_sent_done(&sent);
		if (r == 0) { /* no sync came behind it: it would strike later */
			far_end(&far);
			continue;
		}
		failed++;
		cof_io_free(far.io);
		ck_assert_int_eq(cof_sim_open(far.sim, &far.io), 0);
		(void)sync_all();
		cof_io_free(far.io);
		cof_sim_reboot(far.sim, COF_SIM_LOSE);
		ck_assert_int_eq(cof_sim_open(far.sim, &far.io), 0);
		ck_assert_uint_eq(far_head(&far), newest());
		ck_assert_int_eq(far_verify(&far, NULL), COF_INTACT);
		far_end(&far);
	}
	ck_assert_uint_gt(failed, 20);
	world_end(&w);
}
END_TEST

START_TEST(a_full_disk)
{
	struct vault_sent sent;
	struct cof_diag d = {""};

	begin();
	for (uint64_t limit = 1000; limit < 60000; limit += 7001) {
		cof_sim_limit(far.sim, limit);
		ck_assert_int_lt(far_sync(&far, w.io, NULL, &sent, &d), 0);
		vault_sent_done(&sent);
		ck_assert_ptr_nonnull(strstr(far.diag.text, "No space left"));
		ck_assert_uint_eq(far_head(&far), 0);
	}
	cof_sim_limit(far.sim, 0);
	(void)sync_all();
	same_log();
	end();
}
END_TEST

START_TEST(two_histories)
{
	struct cof_sim *other;
	struct cof_io *io = NULL;
	struct vault_sent sent;
	struct cof_diag d = {""};
	uint64_t head;

	begin();
	(void)sync_all();
	other = cof_sim_clone(w.sim);
	put_some(200, 5);
	(void)sync_all();
	head = far_head(&far);

	/* put back to an older state: behind, and nothing else */
	ck_assert_int_eq(cof_sim_open(other, &io), 0);
	ck_assert_int_eq(far_sync(&far, io, NULL, &sent, &d), -ESTALE);
	ck_assert_uint_eq(sent.refusal, VAULT_R_STALE);
	ck_assert_uint_eq(far.refused, VAULT_R_STALE); /* the vault knows, too */
	ck_assert_ptr_nonnull(sent.note); /* the vault's, with which it can be told */
	vault_sent_done(&sent);

	/* and written on: a fork */
	cof_io_free(io);
	{
		struct world twin = w;
		struct cof_log_params p;

		twin.sim = other;
		ck_assert_int_eq(cof_sim_open(other, &twin.io), 0);
		p = world_params(&twin);
		ck_assert_int_eq(cof_log_open(&p, &twin.secrets, &twin.log, &twin.rec, &d), 0);
		ck_assert_int_eq(world_mount(&twin), 0);
		/* which shows while it has fewer frames, too */
		ck_assert_int_eq(world_put(&twin, 900, 100, false, NULL), 0);
		ck_assert_int_eq(cof_log_checkpoint(twin.log), 0);
		ck_assert_int_lt(far_sync(&far, twin.io, NULL, &sent, &d), 0);
		ck_assert_uint_lt(sent.size, head);
		ck_assert_uint_eq(sent.refusal, VAULT_R_FORK);
		ck_assert_uint_eq(far.refused, VAULT_R_FORK);
		vault_sent_done(&sent);
		far.refused = 0;
		for (unsigned i = 0; i < 40; i++)
			ck_assert_int_eq(world_put(&twin, 900 + i, 100, false, NULL), 0);
		ck_assert_int_eq(cof_log_checkpoint(twin.log), 0);
		ck_assert_int_lt(far_sync(&far, twin.io, NULL, &sent, &d), 0);
		ck_assert_uint_eq(sent.refusal, VAULT_R_FORK);
		ck_assert_uint_eq(far.refused, VAULT_R_FORK);
		vault_sent_done(&sent);
		cof_log_abandon(twin.log);
		cof_io_free(twin.io);
	}
	cof_sim_free(other);
	ck_assert_uint_eq(far_head(&far), head);
	ck_assert_int_eq(far_verify(&far, NULL), COF_INTACT);
	put_some(300, 3);
	(void)sync_all();
	end();
}
END_TEST

/* A host that does not look at what the vault has before it sends. */
START_TEST(an_old_head)
{
	cof_autofree char *old = NULL;
	struct vault_copy *c = NULL;
	struct vault_proof none = {.n = 0};
	struct cof_diag d = {""};
	struct cof_log_status s;

	begin();
	cof_log_status(w.log, &s);
	old = strdup(s.checkpoint);
	put_some(500, 3);
	(void)sync_all();
	ck_assert_int_eq(vault_copy_open(far.io, &c, &d), 0);
	ck_assert_int_eq(vault_copy_head(c, old, strlen(old), &none, &none, &d), -ESTALE);
	ck_assert_int_eq(vault_copy_feed(c, 0, "x", 1, &d), -EUCLEAN);
	vault_copy_free(c);
	end();
}
END_TEST

/* Frames that are right by themselves, under a head that they are not of. */
START_TEST(a_liar_with_a_log_of_its_own)
{
	static uint8_t bytes[VAULT_DATA], hashes[COF_PROOF_MAX][COF_HASH];
	struct world twin;
	struct vault_source *true_one = NULL, *other = NULL;
	struct vault_copy *c = NULL;
	struct vault_copy_state state;
	struct vault_proof none = {.n = 0}, proof = {.hash = hashes};
	struct vault_piece piece;
	const char *note;
	struct cof_diag d = {""};

	begin();
	ck_assert_int_eq(world_begin(&twin, 6), 0);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(world_put(&twin, 700 + i, 900, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(twin.log), 0);
	ck_assert_int_eq(vault_source_open(w.io, &true_one, &d), 0);
	ck_assert_int_eq(vault_source_open(twin.io, &other, &d), 0);
	ck_assert_int_eq(vault_copy_open(far.io, &c, &d), 0);
	note = vault_source_note(true_one, NULL);
	ck_assert_int_eq(vault_copy_head(c, note, strlen(note), &none, &none, &d), 0);
	ck_assert_int_eq(vault_source_seek(other, 0, 0, &d), 0);
	ck_assert_int_eq(vault_source_read(other, bytes, sizeof(bytes), &piece, &d), 0);
	ck_assert_uint_gt(piece.whole, 3);
	ck_assert_int_eq(vault_copy_feed(c, piece.address, bytes, piece.n, &d), 0);
	ck_assert_int_eq(vault_source_proof(true_one, piece.whole, &proof, &d), 0);
	ck_assert_int_eq(vault_copy_prove(c, &proof, &d), -EBADMSG);
	vault_copy_state(c, &state);
	ck_assert_uint_eq(state.size, 0);
	ck_assert_uint_eq(state.address, 0);
	ck_assert_int_eq(vault_copy_sync(c, &d), -EUCLEAN);
	vault_copy_free(c);
	vault_source_free(true_one);
	vault_source_free(other);
	(void)sync_all();
	world_end(&twin);
	end();
}
END_TEST

/* Frames behind those of the head that was shown: they would stay, and whoever has the true ones would seem to be behind. */
START_TEST(a_liar_with_more_than_its_head)
{
	static uint8_t bytes[VAULT_DATA];
	cof_autofree char *small = NULL;
	struct vault_source *source = NULL;
	struct vault_copy *c = NULL;
	struct vault_copy_state state;
	struct vault_proof none = {.n = 0};
	struct vault_piece piece;
	struct cof_diag d = {""};
	struct cof_log_status s;
	int r;

	begin();
	cof_log_status(w.log, &s);
	small = strdup(s.checkpoint);
	put_some(500, 3);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	ck_assert_int_eq(vault_source_open(w.io, &source, &d), 0);
	ck_assert_int_eq(vault_copy_open(far.io, &c, &d), 0);
	ck_assert_int_eq(vault_copy_head(c, small, strlen(small), &none, &none, &d), 0);
	ck_assert_int_eq(vault_source_seek(source, 0, 0, &d), 0);
	do {
		ck_assert_int_eq(vault_source_read(source, bytes, sizeof(bytes), &piece, &d), 0);
		r = vault_copy_feed(c, piece.address, bytes, piece.n, &d);
	} while (r == 0 && piece.whole <= s.checkpoint_size);
	ck_assert_uint_gt(piece.whole, s.checkpoint_size);
	ck_assert_int_eq(r, -EBADMSG);
	vault_copy_state(c, &state);
	ck_assert_uint_eq(state.size, 0);
	ck_assert_uint_eq(state.address, 0);
	vault_copy_free(c);
	vault_source_free(source);
	(void)sync_all();
	end();
}
END_TEST

/* What a host sends of its first segment, as it answers DAMAGE. */
static int mending_of(struct cof_io *io)
{
	static const uint8_t asked[8 + 8 + 8 + 1] = {[0] = 8, [4] = VAULT_DAMAGE, [16] = 1, [20] = VAULT_DONE, [24] = 'x'};
	struct vault_wire line = {.in = memfd_create("asked", MFD_CLOEXEC), .out = memfd_create("said", MFD_CLOEXEC), .timeout_ms = 5000};
	struct vault_source *s = NULL;
	struct cof_diag d = {""};
	unsigned segments = 0;
	uint64_t bytes = 0;

	ck_assert_int_eq(cof_write_all(line.in, asked, sizeof(asked)), 0);
	ck_assert_int_eq(lseek(line.in, 0, SEEK_SET), 0);
	ck_assert_int_eq(vault_source_open(io, &s, &d), 0);
	ck_assert_msg(vault_send_mending(&line, s, &segments, &bytes, &d) == 0, "%s", d.text);
	ck_assert_uint_eq(segments, 1);
	vault_source_free(s);
	close(line.in);
	ck_assert_int_eq(lseek(line.out, 0, SEEK_SET), 0);
	return line.out;
}

static int mend_by(struct cof_io *host, unsigned *mended, struct cof_diag *d)
{
	struct vault_wire line = {.in = mending_of(host), .out = memfd_create("answer", MFD_CLOEXEC), .timeout_ms = 5000};
	int r = vault_take_mending(&line, far.io, mended, d);

	close(line.in);
	close(line.out);
	return r;
}

/* Frames that are whole and right by themselves, and not the ones that were confirmed, mend nothing. */
START_TEST(a_liar_that_mends)
{
	struct vault_damage damage = {.segment = {0}, .n = 1};
	struct world twin;
	struct cof_diag d = {""};
	cof_autofree uint8_t *before = NULL;
	const uint8_t *p;
	unsigned mended = 0;
	size_t n, m;

	begin();
	(void)sync_all();
	ck_assert_int_eq(world_begin(&twin, 6), 0);
	for (unsigned i = 0; i < 12; i++) /* of the same sizes */
		ck_assert_int_eq(world_put(&twin, 7000 + i, (1 + i) % 5 == 4 ? 30000 : 700 + 13 * i, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(twin.log), 0);
	ck_assert_int_eq(cof_sim_flip(far.sim, "log/00000000.seg", 3000, 1), 0);
	ck_assert_int_eq(vault_damage_save(far.io, &damage), 0);
	ck_assert_int_eq(cof_sim_peek(far.sim, "log/00000000.seg", &p, &n), 0);
	before = malloc(n);
	memcpy(before, p, n);
	ck_assert_int_eq(mend_by(twin.io, &mended, &d), -EBADMSG);
	ck_assert_uint_eq(mended, 0);
	ck_assert_int_eq(cof_sim_peek(far.sim, "log/00000000.seg", &p, &m), 0);
	ck_assert_uint_eq(m, n);
	ck_assert_mem_eq(p, before, n);
	ck_assert_int_eq(vault_damage_load(far.io, &damage), 0);
	ck_assert_uint_eq(damage.n, 1);

	d.text[0] = 0;
	ck_assert_msg(mend_by(w.io, &mended, &d) == 0, "%s", d.text);
	ck_assert_uint_eq(mended, 1);
	ck_assert_int_eq(far_verify(&far, NULL), COF_INTACT);
	same_log();
	world_end(&twin);
	end();
}
END_TEST

START_TEST(a_quota)
{
	struct vault_sent sent;
	struct cof_diag d = {""};

	begin();
	far.quota = 20000;
	ck_assert_int_eq(far_sync(&far, w.io, NULL, &sent, &d), -ECONNABORTED);
	ck_assert_uint_eq(sent.refusal, VAULT_R_QUOTA);
	ck_assert_ptr_nonnull(strstr(d.text, "20000"));
	vault_sent_done(&sent);
	ck_assert_uint_eq(far_head(&far), 0);
	end();
}
END_TEST

/* Stored hashes of a copy are derived: without them it is read through. */
START_TEST(a_copy_without_tiles)
{
	const uint8_t *p;
	size_t n;

	begin();
	(void)sync_all();
	ck_assert_int_eq(cof_sim_peek(far.sim, "tile/0", &p, &n), 0);
	ck_assert_int_eq(cof_sim_flip(far.sim, "tile/0", 3 * COF_HASH + 1, 2), 0);
	ck_assert_uint_eq(far_head(&far), newest());
	put_some(400, 4);
	(void)sync_all();
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vault");
	TCase *t = tcase_create("sessions");
	SRunner *runner = srunner_create(s);
	struct cof_diag d = {""};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (cof_crypto_init(1u << 20, &d) < 0) {
		fprintf(stderr, "%s\n", d.text);
		return 1;
	}
	tcase_set_timeout(t, 120);
	tcase_add_test(t, everything_arrives);
	tcase_add_test(t, a_cut_line);
	tcase_add_test(t, cut_everywhere);
	tcase_add_test(t, a_cut_line_later);
	tcase_add_test(t, an_end_that_came_later);
	tcase_add_test(t, a_line_that_lies);
	tcase_add_test(t, a_vault_that_dies);
	tcase_add_test(t, a_sync_that_fails);
	tcase_add_test(t, a_full_disk);
	tcase_add_test(t, two_histories);
	tcase_add_test(t, an_old_head);
	tcase_add_test(t, a_liar_with_a_log_of_its_own);
	tcase_add_test(t, a_liar_with_more_than_its_head);
	tcase_add_test(t, a_liar_that_mends);
	tcase_add_test(t, a_quota);
	tcase_add_test(t, a_copy_without_tiles);
	suite_add_tcase(s, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
