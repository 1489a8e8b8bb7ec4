/* SPDX-License-Identifier: Apache-2.0 */
/* What a ceremony says, in three languages. The places for values are the same in each. */
#include "tools/ceremony.h"

#include <stdio.h>

static const char *const texts[CEREMONY_TEXTS][COF_LANGUAGES] = {
    [CT_HEAD] = {"Ceremony %.16s: %s.\n", "儀式 %.16s：%s。\n", "의식 %.16s: %s.\n"},
    [CT_REHEARSAL] = {"REHEARSAL. Nothing of this ever counts as real.\n", "演練。本次一切均不具實際效力。\n", "예행연습입니다. 여기서 한 일은 실제로 인정되지 않습니다.\n"},
    [CT_ROLL] = {"\nRoll call. An auditor watches, and at least two others take part.\n", "\n點名。由一位稽核人員見證，另有至少兩人參與。\n",
		 "\n출석 확인. 감사인 한 명이 지켜보고, 그 밖에 두 명 이상이 참여합니다.\n"},
    [CT_SIGN] = {"  %s signs, here or on any other machine:\n    ssh-keygen -Y sign -n %s -f KEY %s\n",
		 "  %s 簽署，於本機或任何其他機器：\n    ssh-keygen -Y sign -n %s -f KEY %s\n",
		 "  %s 서명, 이 기기 또는 다른 어떤 기기에서:\n    ssh-keygen -Y sign -n %s -f KEY %s\n"},
    [CT_SIGN_ASK] = {"NAME KEYFILE signs here; an empty line looks for signatures again; stop, abandon> ",
		     "NAME KEYFILE 於本機簽署；空行重新尋找簽章；stop 暫停、abandon 放棄> ",
		     "NAME KEYFILE 이 기기에서 서명; 빈 줄은 서명을 다시 찾음; stop 중단, abandon 포기> "},
    [CT_SIGN_ROLL] = {"NAME KEYFILE signs here; an empty line looks for signatures again; go: without who is missing; stop> ",
		      "NAME KEYFILE 於本機簽署；空行重新尋找簽章；go 不等缺席者繼續；stop 暫停> ",
		      "NAME KEYFILE 이 기기에서 서명; 빈 줄은 서명을 다시 찾음; go 빠진 사람 없이 진행; stop 중단> "},
    [CT_TAKEN] = {"%s has signed.\n", "%s 已簽署。\n", "%s 서명함.\n"},
    [CT_STILL] = {"Still missing:", "尚缺：", "아직 없음:"},
    [CT_WRONG] = {"What %s signed does not count: %s\n", "%s 的簽章無效：%s\n", "%s 의 서명은 인정되지 않습니다: %s\n"},
    [CT_AGREE] = {"Two persons who are not auditors confirm that it is to happen.\n", "須由兩位非稽核人員確認後才執行。\n",
		  "감사인이 아닌 두 사람이 실행을 확인해야 합니다.\n"},
    [CT_STEP] = {"\nWhat happens next: %s\n", "\n接下來：%s\n", "\n다음에 할 일: %s\n"},
    [CT_TRY] = {"This attempt did not come to its end, and nothing of it counts: %s\nDestroy what was printed of it.\n",
		"此次嘗試未完成，其內容一概無效：%s\n請銷毀已列印的內容。\n", "이번 시도는 끝나지 않았고, 그 어떤 것도 인정되지 않습니다: %s\n인쇄된 것은 폐기하십시오.\n"},
    [CT_AGAIN] = {"An empty line tries again; stop, abandon> ", "空行重試；stop 暫停、abandon 放棄> ", "빈 줄은 다시 시도; stop 중단, abandon 포기> "},
    [CT_MADE] = {"Epoch %u is made, in %s.\n", "第 %u 期已製作，位於 %s。\n", "%u 기가 만들어졌습니다: %s\n"},
    [CT_PROOFS] = {"NAME PROOF, as the custodian's own device printed it; stop, abandon> ", "NAME PROOF，即保管人自己的裝置所顯示者；stop 暫停、abandon 放棄> ",
		   "NAME PROOF, 보관자 자신의 기기가 출력한 대로; stop 중단, abandon 포기> "},
    [CT_PROVE] = {"  %s: coffer share prove --nonce %s\n", "  %s：coffer share prove --nonce %s\n", "  %s: coffer share prove --nonce %s\n"},
    [CT_PROVED] = {"%s has shown to have the share.\n", "%s 已證明持有分持。\n", "%s 이(가) 조각을 가지고 있음을 보였습니다.\n"},
    [CT_DESTROY_NOW] = {"Destroy the share of %s now, before the eyes of all. When it is no more, type the name again> ",
			"請當眾銷毀 %s 的分持。銷毀後再次輸入該代號> ", "지금 모두가 보는 앞에서 %s 의 조각을 폐기하십시오. 폐기한 뒤 이름을 다시 입력> "},
    [CT_CLOSE] = {"\nIt ends here (%s). Each who was present signs the whole transcript.\n", "\n儀式結束（%s）。每位出席者簽署完整紀錄。\n",
		  "\n여기서 끝납니다 (%s). 출석한 모든 사람이 기록 전체에 서명합니다.\n"},
    [CT_COMPLETE] = {"The ceremony is complete. Carried over into an archive by: coffer ceremony submit STORE %s\n",
		     "儀式完成。轉入檔案庫：coffer ceremony submit STORE %s\n", "의식이 완료되었습니다. 아카이브로 옮기기: coffer ceremony submit STORE %s\n"},
    [CT_STOPPED] = {"\nStopped. It goes on by: coffer ceremony continue %s\n", "\n已暫停。繼續：coffer ceremony continue %s\n",
		    "\n중단되었습니다. 계속하려면: coffer ceremony continue %s\n"},
    [CT_FEW] = {"It takes an auditor who has signed, and two others.\n", "須有一位已簽署的稽核人員，以及另外兩人。\n",
		"서명한 감사인 한 명과 다른 두 사람이 필요합니다.\n"},
    [CT_WHAT] = {"That was not understood.\n", "無法理解該輸入。\n", "이해할 수 없는 입력입니다.\n"},
    [CT_LEFT] = {"Still to do: %s\n", "待辦：%s\n", "남은 것: %s\n"},
    [CT_SURE] = {"That ends the ceremony for good. Type abandon again> ", "這將永久結束本儀式。請再次輸入 abandon> ", "의식을 완전히 끝냅니다. abandon 을 다시 입력> "},
    [CT_DELIVERED] = {"%s is the key, encrypted for its recipient. New shares are due now.\n", "%s 為已加密給收件人的金鑰。現在必須製作新的分持。\n",
		      "%s 은(는) 수신자에게 암호화된 열쇠입니다. 이제 새 조각을 만들어야 합니다.\n"},
    [CT_ABANDON] = {"abandoned", "放棄", "포기"},
};

static const char *const kinds[][COF_LANGUAGES] = {
    [COF_CEREMONY_CREATION] = {"an epoch is made", "製作新期別", "새 기수를 만듦"},
    [COF_CEREMONY_RESHARING] = {"other shares of an epoch's secret", "同一秘密的新分持", "같은 비밀의 다른 조각"},
    [COF_CEREMONY_RECOVERY] = {"a key is recovered", "復原金鑰", "열쇠를 복구함"},
    [COF_CEREMONY_DESTRUCTION] = {"shares are destroyed", "銷毀分持", "조각을 폐기함"},
};

static const char *const plans[][COF_LANGUAGES] = {
    [COF_CEREMONY_CREATION] =
	{"the plan. A new key pair is made in this machine's memory and split among the custodians of scheme.ini; then each confirms to have the share.",
	 "計畫。在本機記憶體中製作新金鑰對，依 scheme.ini 分給各保管人；之後每人確認持有分持。",
	 "계획. 이 기기의 메모리에서 새 열쇠 쌍을 만들어 scheme.ini 의 보관자에게 나눕니다. 그런 다음 각자 조각을 가지고 있음을 확인합니다."},
    [COF_CEREMONY_RESHARING] =
	{"the plan. A quorum types the old shares; the same secret is split among the custodians of scheme.ini; then each confirms. The old shares open as much as before.",
	 "計畫。由法定人數輸入舊分持；同一秘密依 scheme.ini 重新分持；之後每人確認。舊分持的效力不變。",
	 "계획. 정족수가 옛 조각을 입력하고, 같은 비밀을 scheme.ini 의 보관자에게 다시 나눕니다. 그런 다음 각자 확인합니다. 옛 조각의 효력은 그대로입니다."},
    [COF_CEREMONY_RECOVERY] =
	{"the plan. A quorum types its shares; input.age is opened in memory, and encrypted for the recipient named in the transcript.",
	 "計畫。由法定人數輸入分持；在記憶體中開啟 input.age，並加密給紀錄中所載的收件人。",
	 "계획. 정족수가 조각을 입력하고, input.age 를 메모리에서 열어 기록에 적힌 수신자에게 암호화합니다."},
    [COF_CEREMONY_DESTRUCTION] =
	{"the plan. Each custodian named shows to have the share, and destroys it before the eyes of all.",
	 "計畫。每位指名的保管人證明持有分持，並當眾銷毀。", "계획. 지명된 각 보관자가 조각을 가지고 있음을 보인 뒤 모두가 보는 앞에서 폐기합니다."},
};

static const char *const steps[COF_CEREMONY_STEPS][COF_LANGUAGES] = {
    [COF_STEP_MAKE] = {"the shares are made and tried, encrypted or printed, and handed out.", "製作並試驗分持，加密或列印後發放。",
		       "조각을 만들어 시험하고, 암호화하거나 인쇄하여 나누어 줍니다."},
    [COF_STEP_CONFIRM] = {"each custodian confirms, by a proof from an own device, to have the share. Then the epoch is valid.",
			  "每位保管人以自己裝置產生的證明確認持有分持。其後該期別生效。",
			  "각 보관자가 자기 기기의 증명으로 조각을 가지고 있음을 확인합니다. 그러면 기수가 유효해집니다."},
    [COF_STEP_DELIVER] = {"the quorum types its shares, and the key is delivered, encrypted.", "法定人數輸入分持，金鑰加密後交付。",
			  "정족수가 조각을 입력하고, 열쇠가 암호화되어 전달됩니다."},
    [COF_STEP_DESTROY] = {"one share after the other is shown and destroyed.", "逐一出示並銷毀分持。", "조각을 하나씩 보이고 폐기합니다."},
};

const char *ceremony_say(enum cof_language l, enum ceremony_text t)
{
	return texts[t][l];
}

void ceremony_tell(const struct ceremony_session *s, enum ceremony_text t, ...)
{
	va_list ap;

	va_start(ap, t);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vprintf(texts[t][s->language], ap);
#pragma GCC diagnostic pop
	va_end(ap);
	fflush(stdout); /* what is asked is seen before the answer is waited for */
}

const char *ceremony_kind_text(enum cof_language l, enum cof_ceremony_kind k)
{
	return kinds[k][l];
}

const char *ceremony_step_text(enum cof_language l, enum cof_ceremony_kind k, enum cof_ceremony_step s)
{
	return s == COF_STEP_PLAN ? plans[k][l] : steps[s][l];
}
