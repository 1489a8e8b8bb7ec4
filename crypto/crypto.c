/* SPDX-License-Identifier: Apache-2.0 */
/* Initialisation: locked memory, an undumpable process, libgcrypt, known answers; random bytes. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "crypto/private.h"

#define AT_ONCE (64u << 10) /* bytes of a brief program's pool: a signature takes 20 KiB */

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static bool ready;

int cof_gcry_errno(gcry_error_t e)
{
	switch (gcry_err_code(e)) {
	case GPG_ERR_NO_ERROR:
		return 0;
	case GPG_ERR_ENOMEM:
		return -ENOMEM;
	case GPG_ERR_CHECKSUM:
	case GPG_ERR_BAD_SIGNATURE:
		return -EBADMSG;
	case GPG_ERR_INV_ARG:
	case GPG_ERR_INV_VALUE:
	case GPG_ERR_INV_LENGTH:
	case GPG_ERR_TOO_LARGE:
		return -EINVAL;
	default:
		return -EIO;
	}
}

void cof_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

bool cof_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b; /* volatile: no early exit may be made of this */
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

/*
 * The kernel's generator, and no pool of our own: it is the one that is reseeded when a virtual
 * machine is cloned. cof_crypto_init has seen it work; should it be denied later (a filter on
 * system calls), libgcrypt's generator, which ends the process rather than give weak bytes.
 */
void cof_random(void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, COF_MIN(n, (size_t)256), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			gcry_randomize(at, n, GCRY_VERY_STRONG_RANDOM);
			return;
		}
		at += got;
		n -= (size_t)got;
	}
}

static int harden(struct cof_diag *diag)
{
	struct rlimit none = {0, 0};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return cof_fail(diag, -EPERM, "cannot switch off core dumps: %s", strerror(errno));
	return 0;
}

/* Where libgcrypt cannot say that memory is short (its big numbers) it would end the process. It
 * asks here first: the signature waits, as anything may on a machine without memory; nothing is
 * lost by that. For a minute. */
static int wait_for_memory(void *user, size_t n, unsigned int flags)
{
	static atomic_llong began, last; /* of this wait, which other threads may share */
	long long now = cof_now(CLOCK_MONOTONIC);

	(void)user;
	(void)n;
	(void)flags;
	if (now - atomic_exchange(&last, now) > COF_NSEC)
		atomic_store(&began, now);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return now - atomic_load(&began) < 60 * COF_NSEC;
}

static int init_once(size_t secure_bytes, size_t at_once, struct cof_diag *diag)
{
	uint8_t probe[16];
	int err = harden(diag);

	if (err < 0)
		return err;
	if (getrandom(probe, sizeof(probe), 0) != (ssize_t)sizeof(probe))
		return cof_fail(diag, -EIO, "the kernel gives no random bytes: %s",
				strerror(errno));
	if (gcry_control(GCRYCTL_ANY_INITIALIZATION_P))
		return cof_fail(diag, -EBUSY, "libgcrypt is already in use in this process");
	long before = cof_pool_locked_kib();
	err = cof_pool_init(secure_bytes, at_once, diag);
	if (err < 0)
		return err;
	/* Some sandboxes answer mlock with success and do nothing: believe the kernel's count. */
	long after = cof_pool_locked_kib();
	if (before >= 0 && after >= 0 && after - before < (long)(secure_bytes >> 10))
		return cof_fail(
		    diag, -EPERM,
		    "memory for keys was not locked although the kernel said so (VmLck %ld kB)",
		    after);
	if (!gcry_check_version("1.10.0"))
		return cof_fail(diag, -EOPNOTSUPP, "libgcrypt %s is older than 1.10",
				gcry_check_version(NULL));
	gcry_set_outofcore_handler(wait_for_memory, NULL);
	if (gcry_control(GCRYCTL_DISABLE_PRIV_DROP, 0) ||
	    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) ||
	    !gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return cof_fail(diag, -EIO, "libgcrypt cannot be initialised");
	/* Not GCRYCTL_SELFTEST: 45 ms of each start, nearly all for RSA, DSA and ECDSA, which are not used here. */
	if (gcry_md_algo_info(GCRY_MD_SHA256, GCRYCTL_SELFTEST, NULL, NULL) ||
	    gcry_md_algo_info(GCRY_MD_SHA512, GCRYCTL_SELFTEST, NULL, NULL))
		return cof_fail(diag, -EIO, "libgcrypt's self-tests of SHA-2 fail");
	return cof_crypto_selftest(diag);
}

static int init(size_t secure_bytes, size_t at_once, struct cof_diag *diag)
{
	/* A failure stays: half an initialisation is not tried again on. */
	static int failed;
	static struct cof_diag why;
	int ret = 0;

	pthread_mutex_lock(&init_lock);
	if (!ready && !failed) {
		failed = init_once(secure_bytes, at_once, &why);
		ready = failed == 0;
	}
	if (!ready)
		ret = cof_fail(diag, failed, "%s", why.text);
	pthread_mutex_unlock(&init_lock);
	return ret;
}

int cof_crypto_init(size_t secure_bytes, struct cof_diag *diag)
{
	return init(secure_bytes, SIZE_MAX, diag);
}

int cof_crypto_init_brief(size_t secure_bytes, struct cof_diag *diag)
{
	return init(secure_bytes, AT_ONCE, diag);
}
