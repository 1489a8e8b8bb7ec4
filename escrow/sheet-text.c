/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on a sheet, in three languages. */
#include "escrow/sheet-private.h"

const struct cof_sheet_text cof_sheet_texts[COF_LANGUAGES] = {
    [COF_ENGLISH] =
	{
	    .code = "en",
	    .title = "A share of a key",
	    .secret = "Secret. Whoever reads the words below has this share.",
	    .rehearsal = "REHEARSAL: made to practise. No key depends on it.",
	    .epoch = "Epoch",
	    .custodian = "Custodian",
	    .person = "Person",
	    .place = "Place",
	    .group = "Group",
	    .made = "Made",
	    .fingerprint = "Fingerprint",
	    .groups = "%s: %u of its %u shares make it complete; %u of %u groups are needed",
	    .words = "The words",
	    .code_says = "The same words as a code. Never scan it with a telephone.",
	    .todo = "What to do",
	    .confirm = "Confirm, once, that you have it. The answer gives nothing of the share away:",
	    .step =
		{
		    "Check the words as soon as you have them, on a machine without a network: "
		    "<span class=\"mono\">coffer share check --epoch epoch.json</span>. Four letters of each word suffice.",
		    "Put this sheet into an envelope, sign across its flap, and keep it at the place named above. "
		    "Never two sheets of one epoch at one place.",
		    "Never copy, photograph or dictate the words, and never type them on a machine with a network.",
		    "Asked whether you still have it (a drill), answer with "
		    "<span class=\"mono\">coffer share prove --nonce drill-...</span>; the words stay with you.",
		    "Give the words for a recovery only: in person, at one machine, to people whom you know, after you "
		    "have called.",
		    "If the sheet is lost, was opened, or was seen by others: call at once.",
		    "Any SLIP-39 program takes the words, without Coffer. RECOVERY.txt of the kit says how.",
		},
	    .passphrase = "A passphrase belongs to the shares; it is kept elsewhere.",
	    .call = "Whom to call",
	    .call_nobody = "______________________________",
	},
    [COF_ZH_HANT] =
	{
	    .code = "zh-Hant",
	    .title = "金鑰分持",
	    .secret = "機密。讀到下列單字的人即持有此分持。",
	    .rehearsal = "演練用：僅供練習，沒有任何金鑰依賴它。",
	    .epoch = "期別",
	    .custodian = "保管人代號",
	    .person = "保管人",
	    .place = "保管地點",
	    .group = "群組",
	    .made = "製作日期",
	    .fingerprint = "指紋",
	    .groups = "%s：其中 %u 份（共 %u 份）即齊全；需要 %u 個群組（共 %u 個）",
	    .words = "單字",
	    .code_says = "相同單字的條碼。切勿用手機掃描。",
	    .todo = "應辦事項",
	    .confirm = "確認一次您已收到；回覆不會洩漏分持內容：",
	    .step =
		{
		    "收到後立即在未連網的電腦上檢查單字："
		    "<span class=\"mono\">coffer share check --epoch epoch.json</span>。每個單字輸入前四個字母即可。",
		    "將本頁放入信封，於封口簽名，存放於上列地點。同一期別的兩份不得存放於同一地點。",
		    "不得抄寫、拍照或口述這些單字，也不得在連網的電腦上輸入。",
		    "被詢問是否仍持有（演練）時，以 <span class=\"mono\">coffer share prove --nonce drill-...</span> "
		    "回覆；單字留在您手中。",
		    "只有在復原時才交出單字：親自到場、在同一台電腦、面對您認識的人，並先以電話確認。",
		    "若本頁遺失、被拆封或被他人看見：立即通知。",
		    "任何 SLIP-39 程式都能使用這些單字，不需要 Coffer。方法見復原包內的 RECOVERY.txt。",
		},
	    .passphrase = "這些分持另有一組通行碼，存放於他處。",
	    .call = "聯絡人",
	    .call_nobody = "______________________________",
	},
    [COF_KOREAN] =
	{
	    .code = "ko",
	    .title = "키 조각",
	    .secret = "비밀. 아래 단어를 읽는 사람은 이 조각을 가지게 됩니다.",
	    .rehearsal = "연습용: 훈련을 위한 것이며 어떤 키도 이것에 의존하지 않습니다.",
	    .epoch = "기수",
	    .custodian = "보관자 이름",
	    .person = "보관자",
	    .place = "보관 장소",
	    .group = "그룹",
	    .made = "만든 날",
	    .fingerprint = "지문",
	    .groups = "%s: 조각 %u개(전체 %u개)가 모이면 완성되며, 그룹 %u개(전체 %u개)가 필요합니다",
	    .words = "단어",
	    .code_says = "같은 단어를 담은 코드입니다. 휴대전화로 스캔하지 마십시오.",
	    .todo = "할 일",
	    .confirm = "받았음을 한 번 확인해 주십시오. 답은 조각의 내용을 드러내지 않습니다:",
	    .step =
		{
		    "받는 즉시 네트워크에 연결되지 않은 컴퓨터에서 단어를 확인하십시오: "
		    "<span class=\"mono\">coffer share check --epoch epoch.json</span>. 단어마다 앞 네 글자면 충분합니다.",
		    "이 종이를 봉투에 넣고 봉한 자리에 서명하여 위에 적힌 장소에 보관하십시오. 같은 기수의 두 장을 한 "
		    "장소에 두지 마십시오.",
		    "단어를 베끼거나 촬영하거나 불러 주지 말고, 네트워크에 연결된 컴퓨터에 입력하지 마십시오.",
		    "아직 가지고 있는지 묻는 점검(드릴)에는 <span class=\"mono\">coffer share prove --nonce drill-...</span> "
		    "로 답하십시오. 단어는 본인이 계속 가지고 있습니다.",
		    "단어는 복구할 때에만 내어 주십시오: 직접 와서, 한 컴퓨터에서, 아는 사람에게, 먼저 전화로 확인한 뒤에.",
		    "종이를 잃어버렸거나 봉투가 열렸거나 다른 사람이 보았다면 즉시 연락하십시오.",
		    "어떤 SLIP-39 프로그램이든 Coffer 없이 이 단어를 읽습니다. 방법은 복구 꾸러미의 RECOVERY.txt에 있습니다.",
		},
	    .passphrase = "이 조각들에는 암호가 하나 더 있으며 다른 곳에 보관됩니다.",
	    .call = "연락처",
	    .call_nobody = "______________________________",
	},
};
