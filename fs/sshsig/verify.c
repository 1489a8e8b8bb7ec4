/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ssh-keygen says of a signature, as an error code and a sentence. It says why only in words, and with one
 * exit code; what decides is that code: only 0 with a line that begins with "Good" is good. The words choose
 * between reasons to refuse, nothing more.
 */
#include "fs/sshsig/internal.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

static bool plain(const char *s, size_t max)
{
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if ((s[i] < 'a' || s[i] > 'z') && (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') &&
		    !strchr("._@+-", s[i]))
			return false;
	return n > 0 && n < max && s[0] != '-';
}

int cof_sshsig_sane(const struct cof_signature *s, struct cof_diag *diag)
{
	if (!plain(s->principal, COF_PRINCIPAL) || !plain(s->purpose, 64))
		return cof_fail(diag, -EUCLEAN, "the name of a person or purpose has signs that no name has");
	if (s->people_len > COF_PEOPLE_MAX || s->revoked_len > COF_REVOKED_MAX ||
	    s->document_len > COF_REQUEST_MAX || s->armored_len > COF_SIGNATURE_MAX)
		return cof_fail(diag, -EUCLEAN, "a signature or what it is over is too long");
	return 0;
}

static int memory(const char *name, const void *p, size_t n, int *ret)
{
	int fd = memfd_create(name, MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = cof_write_all(fd, p, n);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	else
		*ret = fd;
	return r;
}

/* As ssh-keygen reads it. What lies before 1970 or beyond four digits of years no key covers. */
static int time_text(int64_t ns, char out[32])
{
	time_t t = (time_t)(ns / COF_NSEC);
	struct tm tm;

	if (ns < 0 || !gmtime_r(&t, &tm) || tm.tm_year + 1900 > 9999)
		return -EKEYEXPIRED;
	return strftime(out, 32, "%Y%m%d%H%M%SZ", &tm) ? 0 : -EKEYEXPIRED;
}

static bool has(const char *text, const char *words)
{
	return strstr(text, words) != NULL;
}

static int refused(const struct cof_signature *s, const char *said, struct cof_diag *diag)
{
	if (has(said, "not a listed principal"))
		return cof_fail(diag, -EKEYREJECTED, "the certificate that signed is not for %s", s->principal);
	if (has(said, "not yet valid") || has(said, "expired") || has(said, "has expired") ||
	    has(said, "valid-after") || has(said, "valid-before") || has(said, "Certificate invalid"))
		return cof_fail(diag, -EKEYEXPIRED, "the key that signed for %s is not valid at that time", s->principal);
	if (has(said, "namespace"))
		return cof_fail(diag, -EKEYREJECTED, "it was signed for another purpose than %s, or the key is not for that",
				s->purpose);
	if (has(said, "incorrect signature"))
		return cof_fail(diag, -EKEYREJECTED, "the signature is not over this document");
	return cof_fail(diag, -EKEYREJECTED, "it is not a signature that the people file lets %s make", s->principal);
}

static bool is_good(int code, const char *said)
{
	return code == 0 && (!strncmp(said, "Good ", 5) || has(said, "\nGood "));
}

/* It does not say that a key is revoked: then the same is good without the list. */
static bool is_revoked(const struct cof_sshsig_run *run)
{
	struct cof_sshsig_run without = *run;
	char said[4096];
	int code = 255;

	if (run->revoked < 0 || run->document < 0 || lseek(run->document, 0, SEEK_SET) < 0)
		return false;
	without.revoked = -1;
	return cof_sshsig_run(&without, said, sizeof(said), &code) == 0 && is_good(code, said);
}

static int judge(const struct cof_signature *s, struct cof_sshsig_run *run, struct cof_diag *diag)
{
	char said[4096];
	int code = 255, r = cof_sshsig_run(run, said, sizeof(said), &code);

	if (r == -ENOENT)
		return cof_fail(diag, -ENOPKG, COF_SSH_KEYGEN " is missing: install OpenSSH's client (openssh-client)");
	if (r < 0)
		return cof_fail(diag, r == -ETIMEDOUT ? -ETIME : -ENOTRECOVERABLE, "ssh-keygen did not answer: %s",
				strerror(-r));
	if (is_good(code, said))
		return 0;
	if (is_revoked(run))
		return cof_fail(diag, -EKEYREVOKED, "the key that signed for %s is revoked", s->principal);
	return refused(s, said, diag);
}

int cof_sshsig_verify(void *user, const struct cof_signature *s, struct cof_diag *diag)
{
	cof_autoclose int people = -1, revoked = -1, signature = -1, document = -1;
	char when[32];
	int r = cof_sshsig_sane(s, diag);

	(void)user;
	if (r < 0)
		return r;
	if (time_text(s->time, when) < 0)
		return cof_fail(diag, -EKEYEXPIRED, "no key is valid at the time of that frame");
	r = memory("people", s->people, s->people_len, &people);
	if (r == 0)
		r = memory("signature", s->armored, s->armored_len, &signature);
	if (r == 0)
		r = memory("document", s->document, s->document_len, &document);
	if (r == 0 && s->revoked_len)
		r = memory("revoked", s->revoked, s->revoked_len, &revoked);
	if (r < 0)
		return cof_fail(diag, r, "no memory for a signature: %s", strerror(-r));
	return judge(s,
		     &(struct cof_sshsig_run){.principal = s->principal,
					      .purpose = s->purpose,
					      .time = when,
					      .people = people,
					      .revoked = revoked,
					      .signature = signature,
					      .document = document},
		     diag);
}
