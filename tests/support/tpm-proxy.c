/* SPDX-License-Identifier: Apache-2.0 */
/* One client at a time, as swtpm has it; commands and answers carry their length in bytes 2 to 5. */
#include "tpm-proxy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 8192

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tpm-proxy: %s\n", what);
	abort();
}

static struct sockaddr_un at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return a;
}

static bool read_all(int fd, uint8_t *p, size_t n)
{
	while (n) {
		ssize_t got = read(fd, p, n);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

/* A whole message, or 0. */
static size_t take(int fd, uint8_t *m)
{
	size_t n;

	if (!read_all(fd, m, 10))
		return 0;
	n = (size_t)m[2] << 24 | m[3] << 16 | m[4] << 8 | m[5];
	return n >= 10 && n <= MESSAGE_MAX && read_all(fd, m + 10, n - 10) ? n : 0;
}

static bool changes(const uint8_t *m)
{
	uint32_t code = (uint32_t)m[6] << 24 | m[7] << 16 | m[8] << 8 | m[9];

	return code == 0x122 || code == 0x12a || code == 0x134 || code == 0x137; /* NV, all four */
}

static void power_off(struct tpm_proxy *p)
{
	atomic_store(&p->dead, true);
	if (p->on_cut)
		p->on_cut(p->user);
}

/* False: it is over. */
static bool while_it_hangs(struct tpm_proxy *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->hangs) {
		p->kept++;
		pthread_cond_broadcast(&p->changed);
	}
	while (p->hangs && !atomic_load(&p->stop))
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return !atomic_load(&p->stop);
}

static void hear(struct tpm_proxy *p, const uint8_t *m, size_t n)
{
	if (!p->heard || n > p->heard_max - p->heard_n)
		return;
	memcpy(p->heard + p->heard_n, m, n);
	p->heard_n += n;
}

/* False: the power is off, or the line ended. */
static bool one_command(struct tpm_proxy *p, int client, int up)
{
	uint8_t m[MESSAGE_MAX];
	size_t n = take(client, m);
	bool hit;

	if (!n || !while_it_hangs(p))
		return false;
	hit = changes(m) && atomic_fetch_add(&p->seen, 1) + 1 == atomic_load(&p->cut);
	if (hit && !atomic_load(&p->after)) {
		power_off(p);
		return false;
	}
	hear(p, m, n);
	if (write(up, m, n) != (ssize_t)n || !(n = take(up, m)))
		return false;
	hear(p, m, n);
	if (hit) {
		power_off(p);
		return false;
	}
	return send(client, m, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void serve(struct tpm_proxy *p, int client)
{
	struct sockaddr_un a = at(p->upstream);
	int up = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!atomic_load(&p->dead) && connect(up, (struct sockaddr *)&a, sizeof(a)) == 0)
		while (one_command(p, client, up))
			;
	close(up);
	close(client);
}

static void *run(void *proxy)
{
	struct tpm_proxy *p = proxy;
	int client;

	while ((client = accept(p->listener, NULL, NULL)) >= 0 && !atomic_load(&p->stop))
		serve(p, client);
	if (client >= 0)
		close(client);
	return NULL;
}

void tpm_proxy_start(struct tpm_proxy *p, const char *upstream)
{
	char control[128], theirs[128];
	struct sockaddr_un a;

	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	p->upstream = upstream;
	snprintf(p->socket, sizeof(p->socket), "%s.proxy", upstream);
	unlink(p->socket);
	a = at(p->socket);
	snprintf(control, sizeof(control), "%s.ctrl", p->socket); /* not looked at */
	snprintf(theirs, sizeof(theirs), "%s.ctrl", upstream);
	unlink(control);
	need(symlink(theirs, control) == 0, "no control channel");
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(p->listener >= 0 && bind(p->listener, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		 listen(p->listener, 8) == 0,
	     "no socket");
	need(pthread_create(&p->thread, NULL, run, p) == 0, "no thread");
}

void tpm_proxy_stop(struct tpm_proxy *p)
{
	atomic_store(&p->stop, true);
	tpm_proxy_hang(p, false);
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
	unlink(p->socket);
}

void tpm_proxy_hang(struct tpm_proxy *p, bool hangs)
{
	pthread_mutex_lock(&p->lock);
	p->hangs = hangs;
	p->kept = 0;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void tpm_proxy_wait(struct tpm_proxy *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->kept)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void tpm_proxy_plan(struct tpm_proxy *p, unsigned n, bool after)
{
	atomic_store(&p->seen, 0);
	atomic_store(&p->after, after);
	atomic_store(&p->cut, n);
	atomic_store(&p->dead, false);
}
