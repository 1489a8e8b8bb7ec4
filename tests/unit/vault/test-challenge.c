/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault is asked for what it confirmed: one that has it passes, a byte that is not as it was is named, what was destroyed at either side
 * is no difference, and who has only hashes from before, or asks for more than may be, gets nowhere.
 */
#include "../log/world.h"

#include "tools/vault/internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT = 5, GONE = 6 };
#define OBJECTS 40u

static struct world w;
static struct cof_sim *vault;
static struct cof_io *there;
static uint64_t confirmed;

static void destroyed(uint64_t object)
{
	struct cof_append a = {.frame = {.type = COF_DESTROY, .version = 1, .object = object}};
	cof_autobuf struct cof_buf fields = {0};
	uint8_t out[256], request[32] = {1};

	cof_field_put(&fields, COF_T_REQUEST, request, sizeof(request));
	cof_field_put_u64(&fields, COF_T_DESTROYED_FRAMES, 2);
	cof_field_put_u64(&fields, COF_T_DESTROYED_BYTES, 0);
	ck_assert_int_eq(cof_payload_seal(&a.frame, NULL, w.conf.id, fields.data, (uint32_t)fields.len, NULL, out), 0);
	a.stored = out;
	ck_assert_int_eq(cof_log_append(w.log, &a), 0);
}

/* Some segments at both sides; GONE is destroyed, and its bytes are still there. */
static void begin(void)
{
	struct cof_log_status s;

	ck_assert_int_eq(world_begin(&w, 5), 0);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < OBJECTS; k++)
			ck_assert_int_eq(world_seal(&w, k, 900 + 131 * k, NULL), 0);
	destroyed(GONE);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	cof_log_status(w.log, &s);
	confirmed = s.checkpoint_size;
	vault = cof_sim_clone(w.sim);
	ck_assert(vault && cof_sim_open(vault, &there) == 0);
}

static void end(void)
{
	cof_io_free(there);
	cof_sim_free(vault);
	world_end(&w);
}

/* Where the first frame of an object begins. */
static uint64_t address_of(uint64_t object, struct cof_frame *f)
{
	struct cof_reader *r = NULL;
	uint64_t at = 0;

	ck_assert_int_eq(cof_reader_new(w.io, &w.conf, &r), 0);
	ck_assert_int_eq(cof_reader_header(r, at, f, NULL, NULL), 0);
	while (f->type != COF_APPEND || f->object != object) {
		ck_assert_int_eq(cof_reader_next(r, at, f, &at), 0);
		ck_assert_int_eq(cof_reader_header(r, at, f, NULL, NULL), 0);
	}
	cof_reader_free(r);
	return at;
}

/* Zeros over its payload, as whoever destroys it leaves it. */
static void zero(struct cof_io *io, uint64_t object)
{
	cof_autofile struct cof_file *file = NULL;
	uint8_t zeros[16384] = {0};
	struct cof_frame f;
	uint64_t at = address_of(object, &f);
	char path[32];

	ck_assert_uint_le(f.stored, sizeof(zeros));
	copy_segment_path(at / w.conf.segment_size, path);
	ck_assert_int_eq(cof_io_open(io, path, COF_IO_RDWR, &file), 0);
	ck_assert_int_eq(cof_io_write(file, zeros, f.stored - f.public_length, at % w.conf.segment_size + COF_FRAME_HEADER + f.public_length), 0);
}

/* ---- lines ---- */

enum liar { HONEST, KNEW, SHORT, OLD, LESS };
struct lines {
	int fd[4];
	unsigned n;
	pthread_t thread[4];
	struct vault_wire wire;
	enum liar liar;
};
struct far_end {
	int fd;
	enum liar liar;
};

/* Who kept hashes and threw the bytes away; who answers less; who is older; who has less. */
static void lie(struct vault_wire *line, enum liar liar)
{
	uint8_t state[VAULT_STATE_FIXED] = {0}, all[VAULT_RANGES * ANSWER_ONE];
	cof_autobuf struct cof_buf body = {0};
	uint8_t type = 0;

	if (liar == OLD) {
		ck_assert_int_eq(vault_refuse(line, VAULT_R_MALFORMED, "HELLO is malformed"), 0);
		return;
	}
	cof_put_le64(state, liar == LESS ? confirmed - 1 : confirmed);
	ck_assert_int_eq(vault_send(line, VAULT_STATE, &(struct iovec){.iov_base = state, .iov_len = sizeof(state)}, 1), 0);
	memset(all, 1, sizeof(all));
	while (vault_receive(line, &type, &body, NULL) == 0 && type == VAULT_CHALLENGE) {
		size_t n = (body.len - CHALLENGE_NONCE) / CHALLENGE_RANGE * ANSWER_ONE - (liar == SHORT);

		if (vault_send(line, VAULT_ANSWER, &(struct iovec){.iov_base = all, .iov_len = n}, 1) < 0)
			break;
	}
}

static void *vault_side(void *arg)
{
	struct far_end *e = arg;
	struct vault_wire line = {.in = e->fd, .out = e->fd, .timeout_ms = 20000};
	struct cof_diag d = {""};

	if (e->liar == HONEST) {
		int r = vault_take_challenges(&line, there, "", &d);

		ck_assert_msg(r == 0 || r == -ENOTCONN || r == -EPIPE, "%s", d.text); /* a host that found its own log damaged goes */
	} else {
		lie(&line, e->liar);
	}
	close(e->fd);
	free(e);
	return NULL;
}

static int line(void *user, struct vault_wire **ret, struct cof_diag *diag)
{
	struct lines *l = user;
	struct far_end *e = malloc(sizeof(*e));
	int fd[2];

	(void)diag;
	ck_assert_uint_lt(l->n, COF_COUNT(l->fd));
	ck_assert(e && socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	*e = (struct far_end){fd[1], l->liar};
	ck_assert_int_eq(pthread_create(&l->thread[l->n], NULL, vault_side, e), 0);
	l->fd[l->n++] = fd[0];
	l->wire = (struct vault_wire){.in = fd[0], .out = fd[0], .timeout_ms = 20000};
	*ret = &l->wire;
	return 0;
}

static struct vault_challenged c;
static struct cof_diag d;

static int ask_as(enum liar liar, uint64_t sample)
{
	struct lines l = {.liar = liar};
	struct vault_challenging p = {.io = w.io, .confirmed = confirmed, .sample = sample, .line = line, .user = &l};
	struct vault_source *s = NULL;
	int r;

	d.text[0] = 0;
	ck_assert_msg(vault_source_open(w.io, &s, &d) == 0, "%s", d.text);
	r = vault_send_challenges(s, &p, &c, &d);
	vault_source_free(s);
	for (unsigned i = 0; i < l.n; i++) {
		shutdown(l.fd[i], SHUT_RDWR);
		pthread_join(l.thread[i], NULL);
		close(l.fd[i]);
	}
	return r;
}

static void passes(uint64_t sample)
{
	ck_assert_msg(ask_as(HONEST, sample) == 0, "%s", d.text);
	ck_assert_uint_eq(c.n_unlike, 0);
}

/* ---- tests ---- */

START_TEST(has_it)
{
	begin();
	passes(0);
	ck_assert_uint_eq(c.frames, confirmed);
	ck_assert_uint_eq(c.size, confirmed);
	passes(10);
	ck_assert_uint_gt(c.frames, 16);
	ck_assert_uint_le(c.frames, 26);
	end();
}
END_TEST

START_TEST(one_byte)
{
	struct cof_frame f;
	uint64_t at;
	char path[32];

	begin();
	at = address_of(KEPT + 20, &f);
	ck_assert_uint_gt(at, w.conf.segment_size / 2);
	copy_segment_path(at / w.conf.segment_size, path);
	ck_assert_int_eq(cof_sim_flip(vault, path, at % w.conf.segment_size + COF_FRAME_HEADER + 700, 3), 0);
	ck_assert_msg(ask_as(HONEST, 0) == 0, "%s", d.text);
	ck_assert_uint_eq(c.n_unlike, 1);
	ck_assert_uint_eq(c.unlike[0].sequence, f.sequence);
	ck_assert_uint_eq(c.unlike[0].address, at);
	ck_assert(!c.unlike[0].missing && !c.ended);
	ck_assert_uint_eq(c.frames, confirmed);

	/* and a segment that is gone */
	ck_assert_int_eq(cof_io_unlink(there, "log/00000000.seg"), 0);
	ck_assert_msg(ask_as(HONEST, 0) == 0, "%s", d.text);
	ck_assert_uint_gt(c.n_unlike, 20);
	ck_assert_uint_eq(c.unlike[0].sequence, 0);
	ck_assert(c.unlike[0].missing);
	end();
}
END_TEST

/* Sooner or later at either side: what stays of it is compared. */
START_TEST(destroyed_by_either)
{
	struct cof_frame f;
	uint64_t at;
	char path[32];

	begin();
	zero(there, GONE);
	passes(0);
	passes(confirmed - 17); /* drawn, and looked for what was destroyed only where it differs */
	zero(w.io, GONE);
	passes(0);
	passes(confirmed - 17);
	end();

	begin();
	zero(w.io, GONE);
	passes(0);
	at = address_of(GONE, &f);
	copy_segment_path(at / w.conf.segment_size, path);
	ck_assert_int_eq(cof_sim_flip(vault, path, at % w.conf.segment_size + 20, 3), 0);
	ck_assert_msg(ask_as(HONEST, 0) == 0, "%s", d.text);
	ck_assert_uint_eq(c.n_unlike, 1);
	ck_assert_uint_eq(c.unlike[0].sequence, f.sequence);
	end();

	/* what nobody destroyed */
	begin();
	zero(there, KEPT);
	ck_assert_msg(ask_as(HONEST, 0) == 0, "%s", d.text);
	ck_assert_uint_eq(c.n_unlike, 1);
	zero(w.io, KEPT);
	ck_assert_int_eq(ask_as(HONEST, 0), -EUCLEAN);
	ck_assert_msg(strstr(d.text, "damaged itself"), "%s", d.text);
	end();
}
END_TEST

START_TEST(liars)
{
	begin();
	ck_assert_msg(ask_as(KNEW, 0) == 0, "%s", d.text);
	ck_assert_uint_eq(c.n_unlike, confirmed);
	ck_assert_int_eq(ask_as(SHORT, 0), -EPROTO);
	ck_assert_int_eq(ask_as(OLD, 0), -EPROTONOSUPPORT);
	ck_assert_msg(strstr(d.text, "older than this program"), "%s", d.text);
	ck_assert_int_eq(ask_as(LESS, 0), -ENODATA);
	confirmed++;
	ck_assert_int_eq(ask_as(HONEST, 0), -ESTALE);
	end();
}
END_TEST

/* ---- hosts that ask for what may not be ---- */

struct asked {
	size_t n;	  /* ranges */
	uint64_t address; /* of each */
	uint32_t length;
	unsigned cut; /* bytes that are missing of the last */
};

static unsigned refusal_of(const struct asked *q)
{
	cof_autobuf struct cof_buf body = {0};
	uint8_t nonce[CHALLENGE_NONCE] = {7}, type = 0, one[CHALLENGE_RANGE];
	struct vault_wire out = {.out = memfd_create("asked", MFD_CLOEXEC), .timeout_ms = 5000}, in;
	struct cof_diag why = {""};
	unsigned code = 0;
	int r;

	cof_buf_add(&body, nonce, sizeof(nonce));
	cof_put_le64(one, q->address);
	cof_put_le32(one + 8, q->length);
	for (size_t i = 0; i < q->n; i++)
		cof_buf_add(&body, one, sizeof(one));
	ck_assert_int_eq(vault_send(&out, VAULT_CHALLENGE, &(struct iovec){.iov_base = body.data, .iov_len = body.len - q->cut}, 1), 0);
	ck_assert_int_eq(vault_send(&out, VAULT_END, NULL, 0), 0);
	ck_assert_int_eq(lseek(out.out, 0, SEEK_SET), 0);
	in = (struct vault_wire){.in = out.out, .out = memfd_create("said", MFD_CLOEXEC), .timeout_ms = 5000};
	r = vault_take_challenges(&in, there, "", &why);
	ck_assert(r == 0 || why.text[0]);
	ck_assert_int_eq(lseek(in.out, 0, SEEK_SET), 0);
	out = (struct vault_wire){.in = in.out, .timeout_ms = 5000};
	ck_assert_int_eq(vault_expect(&out, VAULT_STATE, &body, NULL, &why), 0);
	ck_assert_int_eq(vault_receive(&out, &type, &body, &why), 0);
	if (type == VAULT_REFUSED)
		code = cof_get_le16(body.data);
	else
		ck_assert_uint_eq(body.len, q->n * ANSWER_ONE);
	close(in.in);
	close(in.out);
	return code;
}

START_TEST(asks_too_much)
{
	static const struct asked fine[] = {{1, 0, 1, 0}, {VAULT_RANGES, 0, WORLD_SEGMENT, 0}, {1, WORLD_SEGMENT - 1, 1, 0}, {1, (uint64_t)WORLD_SEGMENT * UINT32_MAX, 9, 0}};
	static const struct asked wrong[] = {{0, 0, 0, 0}, {VAULT_RANGES + 1, 0, 1, 0}, {1, 0, 0, 0}, {1, 0, 1, 1}, {1, 1, WORLD_SEGMENT, 0},
					     {1, WORLD_SEGMENT - 1, 2, 0}, {1, 0, UINT32_MAX, 0}, {1, UINT64_MAX, 1, 0}, {1, UINT64_MAX, UINT32_MAX, 0}};
	cof_autobuf struct cof_buf text = {0};
	struct cof_conf wide;

	begin();
	wide = w.conf;
	for (size_t i = 0; i < COF_COUNT(fine); i++)
		ck_assert_msg(refusal_of(&fine[i]) == 0, "%zu", i);
	for (size_t i = 0; i < COF_COUNT(wrong); i++)
		ck_assert_msg(refusal_of(&wrong[i]) == VAULT_R_MALFORMED, "%zu", i);
	wide.segment_size = 1u << 20; /* so that the limit is reached */
	ck_assert_int_eq(cof_conf_text(&wide, &text), 0);
	ck_assert_int_eq(cof_io_replace(there, "archive.conf", text.data, text.len), 0);
	ck_assert_uint_eq(refusal_of(&(struct asked){64, 0, 1u << 20, 0}), 0);
	ck_assert_uint_eq(refusal_of(&(struct asked){65, 0, 1u << 20, 0}), VAULT_R_MALFORMED);
	end();
}
END_TEST

/* So that nobody keeps a vault reading: as often as all of it may differ, and no more. */
START_TEST(asks_for_ever)
{
	cof_autobuf struct cof_buf body = {0};
	uint8_t nonce[CHALLENGE_NONCE] = {7}, one[CHALLENGE_RANGE] = {0};
	struct vault_wire in = {.in = memfd_create("asked", MFD_CLOEXEC), .out = memfd_create("said", MFD_CLOEXEC), .timeout_ms = 5000}, out;
	struct cof_diag why = {""};

	begin();
	cof_put_le32(one + 8, WORLD_SEGMENT);
	cof_buf_add(&body, nonce, sizeof(nonce));
	for (unsigned i = 0; i < VAULT_RANGES; i++)
		cof_buf_add(&body, one, sizeof(one));
	out = (struct vault_wire){.out = in.in, .timeout_ms = 5000};
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(vault_send(&out, VAULT_CHALLENGE, &(struct iovec){.iov_base = body.data, .iov_len = body.len}, 1), 0);
	ck_assert_int_eq(lseek(in.in, 0, SEEK_SET), 0);
	ck_assert_int_eq(vault_take_challenges(&in, there, "", &why), -EPROTO);
	ck_assert_msg(strstr(why.text, "one session may"), "%s", why.text);
	close(in.in);
	close(in.out);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("challenge");
	TCase *t = tcase_create("challenge");
	SRunner *runner = srunner_create(suite);
	struct cof_diag why = {""};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (cof_crypto_init(1u << 20, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	tcase_add_test(t, has_it);
	tcase_add_test(t, one_byte);
	tcase_add_test(t, destroyed_by_either);
	tcase_add_test(t, liars);
	tcase_add_test(t, asks_too_much);
	tcase_add_test(t, asks_for_ever);
	suite_add_tcase(suite, t);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
