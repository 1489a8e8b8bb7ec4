/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

void far_begin(struct far *f, const struct world *w)
{
	cof_autobuf struct cof_buf text = {0};
	uint8_t pub[32];

	memset(f, 0, sizeof(*f));
	f->sim = cof_sim_new(77);
	f->time = 1700000100;
	memset(f->seed, 8, 32);
	ck_assert_int_eq(cof_ed25519_public(f->seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("vault.example/b", COF_NOTE_COSIG, pub, &f->vkey), 0);
	ck_assert_int_eq(cof_sim_open(f->sim, &f->io), 0);
	ck_assert_int_eq(cof_conf_text(&w->conf, &text), 0);
	ck_assert_int_eq(vault_copy_create(f->io, text.data, text.len, &f->diag), 0);
}

void far_end(struct far *f)
{
	cof_io_free(f->io);
	cof_sim_free(f->sim);
}

static int sign(void *user, struct cof_buf *note, struct cof_diag *diag)
{
	struct far *f = user;

	(void)diag;
	if (f->lists) {
		char line[32];
		uint64_t at = 0;
		int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)f->time), r = cof_io_open(f->io, "list", COF_IO_RDWR, &f->list);

		if (r == 0)
			r = cof_io_size(f->list, &at);
		if (r == 0)
			r = cof_io_write(f->list, line, (size_t)n, at);
		if (r < 0)
			return r;
	}
	return cof_note_cosign(note, &f->vkey, f->seed, f->time++);
}

static void refused(void *user, unsigned code, const void *note, size_t len)
{
	struct far *f = user;

	ck_assert(note && len);
	f->refused = code;
}

struct end {
	struct far *far;
	int fd, from, to;
	struct line *line;
};

static void *vault_side(void *arg)
{
	struct end *e = arg;
	struct far *f = e->far;
	struct vault_wire w = {.in = e->fd, .out = e->fd, .timeout_ms = 20000};
	struct vault_taking t = {.io = f->io, .quota = f->quota, .sign = sign, .list = &f->list, .refused = refused, .user = f};
	struct vault_copy *c = NULL;

	f->diag.text[0] = 0;
	f->err = vault_copy_open(f->io, &c, &f->diag);
	if (f->err == 0)
		f->err = vault_take_log(&w, c, &t, &f->diag);
	if (f->err == 0 && f->looks) {
		struct vault_copy_state state;

		vault_copy_state(c, &state);
		if (!vault_copy_known(c, &f->known) || cof_known_up_to(f->io, &state.conf, state.head.size, &f->found) < 0)
			f->known.size = f->found.size = 0;
	}
	vault_copy_free(c);
	cof_io_close(f->list);
	f->list = NULL;
	close(e->fd);
	return NULL;
}

struct parsing { /* where messages end in a stream */
	uint64_t at, next; /* bytes that went by; where the head that comes is whole, or its message */
	uint8_t head[8];
	unsigned have;
	bool body;
};

static void parse(struct parsing *p, const uint8_t *buf, size_t n, uint64_t *boundary, unsigned *count)
{
	for (size_t i = 0; boundary && i < n; i++) {
		p->at++;
		if (!p->body) {
			p->head[p->have++] = buf[i];
			if (p->have < 8)
				continue;
			p->next = p->at + cof_get_le32(p->head);
			p->body = true;
			p->have = 0;
		}
		if (p->body && p->at == p->next) {
			p->body = false;
			if (*count < LINE_MESSAGES)
				boundary[(*count)++] = p->at;
		}
	}
}

/* What the host sends, as far as the line lets it. */
static void *carry(void *arg)
{
	struct end *e = arg;
	struct parsing parsing = {.at = 0};
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(e->from, buf, sizeof(buf))) > 0) {
		uint64_t before = e->line->bytes;

		parse(&parsing, buf, (size_t)n, e->line->boundary, &e->line->n_boundary);

		e->line->bytes += (uint64_t)n;
		if (e->line->flip > before && e->line->flip <= e->line->bytes)
			buf[e->line->flip - before - 1] ^= 0x40;
		if (e->line->cut && e->line->bytes >= e->line->cut) {
			n = (ssize_t)(e->line->cut - before);
			if (n > 0 && cof_write_all(e->to, buf, (size_t)n) < 0)
				break;
			break;
		}
		if (cof_write_all(e->to, buf, (size_t)n) < 0)
			break;
	}
	shutdown(e->from, SHUT_RDWR);
	shutdown(e->to, SHUT_RDWR);
	return NULL;
}

/* What the vault sends, likewise. */
static void *carry_back(void *arg)
{
	struct end *e = arg;
	struct parsing parsing = {.at = 0};
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(e->to, buf, sizeof(buf))) > 0) {
		uint64_t before = e->line->bytes_back;

		parse(&parsing, buf, (size_t)n, e->line->boundary_back, &e->line->n_back);
		e->line->bytes_back += (uint64_t)n;
		if (e->line->cut_back && e->line->bytes_back >= e->line->cut_back) {
			(void)cof_write_all(e->from, buf, (size_t)(e->line->cut_back - before));
			shutdown(e->from, SHUT_RDWR);
			shutdown(e->to, SHUT_RDWR);
			break;
		}
		if (cof_write_all(e->from, buf, (size_t)n) < 0)
			break;
	}
	shutdown(e->from, SHUT_WR);
	return NULL;
}

int far_sync(struct far *f, struct cof_io *from, struct line *line, struct vault_sent *ret, struct cof_diag *diag)
{
	struct line plain = {0};
	int host[2], vault[2], r;
	struct vault_source *s = NULL;
	struct vault_wire w = {.timeout_ms = 20000};
	struct end e = {.far = f, .line = line ? line : &plain};
	pthread_t threads[3];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, host), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, vault), 0);
	w.in = w.out = host[0];
	e.from = host[1];
	e.to = vault[0];
	e.fd = vault[1];
	f->refused = 0;
	ck_assert_int_eq(pthread_create(&threads[0], NULL, vault_side, &e), 0);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, carry, &e), 0);
	ck_assert_int_eq(pthread_create(&threads[2], NULL, carry_back, &e), 0);
	memset(ret, 0, sizeof(*ret));
	r = vault_source_open(from, &s, diag);
	ck_assert_msg(r == 0, "source: %s", diag->text);
	r = vault_send_log(&w, s, &(struct vault_sending){.envelope = NULL}, ret, diag);
	vault_source_free(s);
	shutdown(host[0], SHUT_RDWR);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	close(host[0]);
	close(host[1]);
	close(vault[0]);
	return r;
}

static void found(void *user, const struct cof_finding *f)
{
	(void)user;
	(void)f;
}

enum cof_verdict far_verify(struct far *f, struct cof_verified *ret)
{
	struct cof_verify_params p = {.io = f->io, .threads = 1, .finding = found};
	struct cof_verified here;
	struct cof_diag d = {""};

	ck_assert_msg(cof_log_verify(&p, ret ? ret : &here, &d) >= 0, "%s", d.text);
	return ret ? ret->verdict : here.verdict;
}

uint64_t far_head(struct far *f)
{
	struct vault_copy *c = NULL;
	struct vault_copy_state s;
	struct cof_diag d = {""};

	ck_assert_msg(vault_copy_open(f->io, &c, &d) == 0, "%s", d.text);
	vault_copy_state(c, &s);
	vault_copy_free(c);
	return s.head.size;
}
