"""Every sentence of the report in English and Chinese, and how numbers are written in each."""

from __future__ import annotations

import math
import re
from typing import Literal

__all__ = ["TEXT", "Language", "Writer"]

Language = Literal["en", "zh"]

TEXT: dict[str, tuple[str, str]] = {
    # page
    "kind": ("Training report", "训练报告"),
    "not_recorded": ("Not recorded for this run.", "本次运行没有记录这一项。"),
    "contents": ("Contents", "目录"),
    "status_running": ("This run is still going, or was killed before it could say otherwise; the figures below are what it has written so far.", "这次运行还没有结束（或者被强行终止，没来得及写下结果）。以下是目前已经记录的内容。"),
    "status_interrupted": ("This run was interrupted. The figures below are what it had recorded by then; it can be taken up again.", "这次运行被中断了。以下是中断前记录的内容，可以从检查点接着训练。"),
    "status_failed": ("This run failed. The figures below are what it had recorded by then.", "这次运行失败了。以下是失败前记录的内容。"),
    "status_other": ("Status of this run: {status}", "运行状态：{status}"),
    "resume_with": ("To go on: ", "继续训练："),
    # data card
    "kind_card": ("Data card", "数据卡"),
    "data_lead": ("{documents} documents, {characters} characters: {share} of the text that was read.", "共 {documents} 篇文档、{characters}字，占读入文本的 {share}。"),
    "data_sources": ("What came in", "数据来源"),
    "data_steps": ("What each step took out", "每一步去掉了什么"),
    "data_removed": ("Some of what was taken out", "被去掉的文档举例"),
    "data_amounts": ("Languages and lengths", "语言与长度"),
    "data_samples": ("Some of what is in it", "语料抽样"),
    "data_output": ("The corpus", "语料文件"),
    "data_recipe": ("How it was made", "构建方式"),
    "data_source": ("Source", "来源"),
    "data_size": ("Size", "大小"),
    "data_read": ("Documents read", "读入文档"),
    "data_kept": ("Kept", "保留"),
    "data_characters_kept": ("Characters kept", "保留字数"),
    "data_licence": ("Terms", "许可"),
    "data_licence_none": ("not stated", "未说明"),
    "data_step": ("Step", "步骤"),
    "data_share": ("Share of what was read", "占读入的比例"),
    "data_step_read": ("read", "读入"),
    "data_step_kept": ("in the corpus", "进入语料"),
    "data_step_edits": ("white space, repairs, placeholders, single lines", "空白整理、编码修复、脱敏、个别行"),
    "data_edit_paragraphs": ("paragraphs that stood earlier", "前文出现过的段落"),
    "data_edit_stretches": ("stretches that stood earlier", "前文出现过的片段"),
    "data_edit_evaluation": ("evaluation texts, cut out", "切除的评测集文本"),
    "data_contaminated": ("Documents with texts of an evaluation set", "含评测集文本的文档"),
    "data_lines": ("Lines taken out of kept documents", "从保留文档中去掉的行"),
    "data_examples_lead": ("Up to five for each reason, chosen by a hash, so nobody picked them. If good text stands here, a rule is too strict for this corpus.", "每种原因最多五篇，按哈希值选取，不是人工挑的。如果这里出现了好文本，说明相应的规则对这份语料过严。"),
    "data_samples_lead": ("Up to three for each source and language, chosen by a hash.", "每个来源、每种语言最多三篇，按哈希值选取。"),
    "data_lengths": ("Documents by length", "文档长度分布"),
    "data_lengths_x": ("characters, up to", "字数（不超过）"),
    "data_of_characters": ("{n} characters", "{n} 字"),
    "data_documents_kept": ("documents kept", "保留文档"),
    "data_characters": ("characters", "字数"),
    "data_removed_share": ("documents taken out", "去掉的文档"),
    "data_heldout": ("held out", "留作评测"),
    "data_time": ("Built in {time}.", "构建用时 {time}。"),
    "data_terms": ("Terms, origin and hashes", "许可、出处与哈希值"),
    "data_near": ("near to {id}", "与 {id} 近似"),
    "data_inputs": ("The SHA-256 of a source is taken over a line of hash and name for each file that was read.", "来源的 SHA-256 由其中每个读入文件的“哈希值 文件名”各行算得。"),
    "data_footer": ("Written by hanmo {version} from corpus.json alone. This page loads nothing and runs nothing.", "由 hanmo {version} 生成，内容只来自 corpus.json。本页不加载任何外部资源，也不运行脚本。"),
    # classifiers
    "kind_text-classification": ("Classifier", "分类器"),
    "kind_token-classification": ("Tagger", "序列标注器"),
    "kind_question-answering": ("Reader", "阅读理解"),
    "kind_sentence-similarity": ("Sentence encoder", "句向量模型"),
    "kind_grading": ("Grader", "评分模型"),
    "kind_translation": ("Translator", "翻译模型"),
    "kind_summarization": ("Summariser", "摘要模型"),
    "kind_text2text-generation": ("A text for a text", "文本到文本"),
    "kind_dialogue": ("Chat model", "对话模型"),
    "kind_preferences": ("Chat model, tuned by preferences", "偏好对齐模型"),
    "score_perplexity": ("Perplexity on answers", "回答的困惑度"),
    "score_bits_per_byte": ("Bits per byte of answers", "回答的比特/字节"),
    "score_win_rate": ("Win rate (human answers found more likely than by the other model)", "胜率（比另一模型更认可人的回答）"),
    "score_distinct_1": ("Distinct-1 of its answers", "模型回答的 distinct-1"),
    "score_distinct_2": ("Distinct-2 of its answers", "模型回答的 distinct-2"),
    "score_distinct_1_people": ("Distinct-1 of people's answers", "人的回答的 distinct-1"),
    "score_distinct_2_people": ("Distinct-2 of people's answers", "人的回答的 distinct-2"),
    "score_length": ("Length of its answers, in words", "模型回答的平均长度（字或词）"),
    "score_length_people": ("Length of people's answers, in words", "人的回答的平均长度（字或词）"),
    "score_preference_accuracy": ("Pairs whose better answer gains more", "更偏向优选回答的比例"),
    "score_margin": ("Reward margin", "奖励差"),
    "score_reward_chosen": ("Reward of better answers", "优选回答的奖励"),
    "score_reward_rejected": ("Reward of worse answers", "劣选回答的奖励"),
    "score_loss": ("Loss", "损失"),
    "note_last turns without an answer, left out": ("Last turns without an answer, left out", "末尾无人回答而剔除的话"),
    "note_conversations learned from the other side too": ("Conversations learned from the other side too", "交换角色后再学一遍的对话"),
    "note_conversations with an empty turn, left out": ("Conversations with an empty turn, left out", "含空话轮而剔除的对话"),
    "note_conversations put into order": ("Conversations put into order", "角色顺序经过修正的对话"),
    "note_conversations in the wrong order, left out": ("Conversations in the wrong order, left out", "角色顺序不对而剔除的对话"),
    "note_conversations that are too long, left out": ("Conversations that are too long, left out", "因过长而剔除的对话"),
    "note_conversations that are too long, cut off at the end": ("Conversations that are too long, cut off at the end", "因过长而截断的对话"),
    "note_conversations that are too long, cut into parts": ("Conversations that are too long, cut into parts", "因过长而切成几段的对话"),
    "note_questions that are too long with their answer alone, left out": ("Questions that are too long with their answer alone, left out", "单独一轮就过长而剔除的问答"),
    "answers_lead": ("What it answers to the first {shown} conversations of the set; people's answer is above each (< is said to it, > by it before).", "它对前 {shown} 段对话的回答；每条上方是人的回答（< 是对它说的话，> 是它之前的话）。"),
    "answer_people": ("people:", "人的回答："),
    "kind_multi-task": ("Several tasks", "多任务"),
    "examples": ("What it learned from", "训练数据"),
    "results": ("How well it does", "效果"),
    "written_texts": ("What it writes", "写得怎样"),
    "worst_texts": ("The worst", "最差的"),
    "best_texts": ("The best", "最好的"),
    "written_score": ("score", "得分"),
    "written_label": ("written:", "生成："),
    "signatures": ("How these were computed", "计分方式"),
    "errors": ("Where it errs", "错在哪里"),
    "split_train": ("training", "训练集"),
    "split_dev": ("dev", "开发集"),
    "split_test": ("test", "测试集"),
    "labels": ("Labels", "类别"),
    "note_empty texts left out": ("Empty texts left out", "剔除的空文本"),
    "note_examples with an empty text left out": ("Examples with an empty text, left out", "剔除的含空文本的样本"),
    "note_training texts left out because dev or test has them": ("Training texts left out because dev or test has them", "因与开发集或测试集重复而剔除的训练文本"),
    "note_training texts that are also in dev or test were kept": ("Training texts that are also in dev or test, kept", "与开发集或测试集重复、仍然保留的训练文本"),
    "note_copies by synonym": ("Copies by synonym", "近义词替换所得"),
    "note_copies by insert": ("Copies by insert", "随机插入所得"),
    "note_copies by swap": ("Copies by swap", "随机交换所得"),
    "note_copies by delete": ("Copies by delete", "随机删除所得"),
    "note_copies by homophone": ("Copies by homophone", "同音替换所得"),
    "note_copies by masked-lm": ("Copies by masked-lm", "掩码语言模型替换所得"),
    "note_copies that could not be made": ("Copies that could not be made", "未能生成的"),
    "score": ("Figure", "指标"),
    "score_accuracy": ("Accuracy", "准确率"),
    "score_macro_f1": ("Macro F1", "宏平均 F1"),
    "score_micro_f1": ("Micro F1", "微平均 F1"),
    "score_weighted_f1": ("Weighted F1", "加权 F1"),
    "score_mcc": ("Matthews correlation", "马修斯相关系数"),
    "score_subset_accuracy": ("All labels right", "标签全对的比例"),
    "score_hamming_loss": ("Hamming loss", "汉明损失"),
    "score_spearman": ("Spearman correlation", "斯皮尔曼相关系数"),
    "score_pearson": ("Pearson correlation", "皮尔逊相关系数"),
    "score_mean_squared_error": ("Mean squared error", "均方误差"),
    "score_mean_absolute_error": ("Mean absolute error", "平均绝对误差"),
    "score_mrr": ("Mean reciprocal rank", "平均倒数排名（MRR）"),
    "score_recall@1": ("Right one first", "首位命中率"),
    "score_recall@5": ("Right one among the first 5", "前 5 命中率"),
    "score_recall@10": ("Right one among the first 10", "前 10 命中率"),
    "score_triplet_accuracy": ("Right one nearer than the other", "三元组准确率"),
    "score_spearman_before": ("Spearman correlation before training", "训练前的斯皮尔曼相关系数"),
    "score_mrr_before": ("Mean reciprocal rank before training", "训练前的平均倒数排名"),
    "score_quadratic_kappa": ("Quadratic weighted kappa", "二次加权 kappa"),
    "score_same_grade": ("Same grade", "分数完全一致的比例"),
    "score_f1": ("F1", "F1"),
    "score_precision": ("Precision", "精确率"),
    "score_recall": ("Recall", "召回率"),
    "score_f1_seqeval_default": ("F1 by the lenient rule", "宽松规则 F1"),
    "score_tag_accuracy": ("Right tags", "标签准确率"),
    "note_sentences whose tags broke their scheme were mended": ("Sentences whose tags broke their scheme, mended", "标签不合体系、已修正的句子"),
    "note_spans left out because they overlap a longer one": ("Spans left out because they overlap a longer one", "因与更长的片段重叠而剔除的片段"),
    "score_exact": ("Exact match (0 to 100)", "精确匹配 EM（0–100）"),
    "score_f1_with_answer": ("F1 of questions with an answer", "有答案的问题：F1"),
    "score_exact_with_answer": ("Exact match of questions with an answer", "有答案的问题：EM"),
    "score_f1_without_answer": ("F1 of questions without an answer", "无答案的问题：F1"),
    "score_exact_without_answer": ("Exact match of questions without an answer", "无答案的问题：EM"),
    "score_baseline_f1": ("F1 without training (best overlap)", "不训练的基线：F1（重合度最高的片段）"),
    "score_baseline_exact": ("Exact match without training", "不训练的基线：EM"),
    "against_baseline": ("Beside an answer without training", "与不训练的基线相比"),
    "against_baseline_lead": ("F1 differs by {difference} {around}; by chance alone that much would come with p = {p} (paired bootstrap over the questions). The baseline takes the stretch whose surroundings share most words with the question.", "F1 相差 {difference} {around}；若只是偶然，出现这么大差距的概率 p = {p}（对问题做配对自助法检验）。基线取周围与问题重合最多的片段。"),
    "note_answers moved to the nearest place where they stand": ("Answers moved to the nearest place where they stand", "移到最近出现处的答案"),
    "note_answers that stand nowhere in their text: not learned": ("Answers that stand nowhere in their text, not learned", "原文中找不到、不参与训练的答案"),
    "note_answers that stand elsewhere than the file says: not learned": ("Answers that stand elsewhere than the file says, not learned", "位置与文件不符、不参与训练的答案"),
    "note_training questions left out because no answer stands in their text": ("Training questions left out because no answer stands in their text", "原文中没有答案而剔除的训练问题"),
    "note_empty questions and texts left out": ("Empty questions and texts left out", "剔除的空问题和空文本"),
    "note_questions left out because another has their id": ("Questions left out because another has their id", "因 id 重复而剔除的问题"),
    "score_bleu": ("BLEU", "BLEU"),
    "score_chrf": ("chrF", "chrF"),
    "score_ter": ("TER (lower is better)", "TER（越低越好）"),
    "score_rouge1": ("ROUGE-1 (F1)", "ROUGE-1（F1）"),
    "score_rouge2": ("ROUGE-2 (F1)", "ROUGE-2（F1）"),
    "score_rougeL": ("ROUGE-L (F1)", "ROUGE-L（F1）"),
    "score_rouge1-zh-char": ("ROUGE-1 by character (F1)", "ROUGE-1（按字，F1）"),
    "score_rouge2-zh-char": ("ROUGE-2 by character (F1)", "ROUGE-2（按字，F1）"),
    "score_rougeL-zh-char": ("ROUGE-L by character (F1)", "ROUGE-L（按字，F1）"),
    "score_ece": ("Calibration error (ECE, 15 bins)", "校准误差（ECE，15 个区间）"),
    "score_ece_uncalibrated": ("Calibration error before", "校准前的校准误差"),
    "interval_note": ("In brackets: 95 % intervals, by a bootstrap over the texts.", "方括号内是对文本做自助法（bootstrap）得到的 95% 区间。"),
    "per_class": ("Each class ({split})", "各类别（{split}）"),
    "class": ("Class", "类别"),
    "class_precision": ("Precision", "精确率"),
    "words_speed": ("Words per second", "每秒词数"),
    "rows_speed": ("Rows per second", "每秒行数"),
    "recall": ("Recall", "召回率"),
    "examples_of_class": ("Texts", "文本数"),
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "right_by_predicted": ("right ↓ predicted →", "正确 ↓ 预测 →"),
    "by_length": ("By length of the text", "按文本长度"),
    "share_right": ("Share right", "正确率"),
    "texts": ("Texts", "文本数"),
    "no_errors": ("No error on this set.", "这个数据集上没有错误。"),
    "errors_lead_token-classification": ("{n} sentences have a wrong tag. The {shown} with the most; what is not shown of them is right.", "共 {n} 句有标错之处。以下是错得最多的 {shown} 句，只列出不一致的部分。"),
    "errors_lead": ("{n} texts are told wrong. The {shown} that it was surest of; such lines are often wrong labels.", "共判错 {n} 条。以下是把握最大的 {shown} 条，其中常有标错的样本。"),
    # studies
    "kind_study": ("Study", "多次运行对照"),
    "study_seeds": ("How much is luck", "多少是运气"),
    "study_folds": ("Fold by fold", "逐折结果"),
    "study_curve": ("Would more labels help?", "再多标一些数据有用吗？"),
    "study_search": ("What was tried", "试过哪些组合"),
    "study_seeds_lead": ("The same recipe with other seeds; the bar is the 95 % interval of each run.", "同一份配方，只换随机种子；横线是每次运行的 95% 区间。"),
    "study_folds_lead": ("Each part of the examples was dev once, and the rest was learned from; the bar is the 95 % interval of each run.", "数据均分成若干份，轮流用一份做开发集，其余用来训练；横线是每次运行的 95% 区间。"),
    "study_search_lead": ("All combinations, the best first. {score} on the dev set alone decided; the test set was looked at for the chosen one only.", "按效果从好到差列出所有组合。只凭开发集上的{score}做选择，测试集只用来评测选中的那一组。"),
    "study_run": ("Run", "运行"),
    "study_runs": ("Runs", "运行次数"),
    "study_of_runs": ("mean and standard deviation of {n} runs", "{n} 次运行的均值与标准差"),
    "study_time": ("Time", "用时"),
    "study_examples": ("Training examples", "训练样本数"),
    "study_tip": ("{n} examples", "{n} 条样本"),
    "study_band": ("{split}, spread", "{split}（波动范围）"),
    "study_best": ("Best", "最好"),
    "study_mean": ("Mean", "平均"),
    "study_tried": ("Tried", "组数"),
    "study_by_value": ("{score} on dev, by value", "按取值看开发集上的{score}"),
    "study_hidden": ("{n} more are in evaluation.json.", "另有 {n} 条见 evaluation.json。"),
    "study_failed": ("{n} combinations could not be trained", "有 {n} 组没能训练完"),
    "study_about": ("With {choice}:", "取 {choice} 时："),
    "study_sd_note": ("Mean ± standard deviation of {n} runs (n − 1 in the denominator).", "{n} 次运行的均值 ± 标准差（分母为 n − 1）。"),
    "curve_rising": ("From {few} to {many} examples, {score} ({split}) improved from {before} to {after}, more than chance explains. At this pace twice as many would bring about {gain} more: further labels are likely to help.", "训练样本从 {few} 条增加到 {many} 条，{score}（{split}）从 {before} 提高到 {after}，超出了偶然波动。照这个势头，数据再翻一倍大约还能提高 {gain}：继续标注很可能有用。"),
    "curve_flat": ("From {few} to {many} examples, {score} ({split}) went from {before} to {after}, a difference that may be chance. More labels of the same kind would probably help little.", "训练样本从 {few} 条增加到 {many} 条，{score}（{split}）从 {before} 变为 {after}，差别可能只是偶然。再标同类数据，收效恐怕不大。"),
    "curve_falling": ("From {few} to {many} examples, {score} ({split}) got worse, from {before} to {after}, which more labels should not do: look at the training and at the labels before adding any.", "训练样本从 {few} 条增加到 {many} 条，{score}（{split}）反而从 {before} 变差到 {after}。数据变多不该如此：先检查训练设置和标注，再考虑加数据。"),
    "curve_unknown": ("From {few} to {many} examples, {score} ({split}) went from {before} to {after}. How much of that is chance, several seeds would tell.", "训练样本从 {few} 条增加到 {many} 条，{score}（{split}）从 {before} 变为 {after}。其中多少出于偶然，要多跑几个随机种子才知道。"),
    "right_label": ("right:", "正确："),
    "predicted_label": ("predicted:", "预测："),
    # headline
    "lead_model": ("{article} {family} of {parameters} parameters", "{family} 模型，{parameters}参数"),
    "lead_model_plain": ("A language model", "一个语言模型"),
    "lead_trained": ("trained for {time} on {device} on {documents} documents", "在 {device} 上用 {documents} 篇文档训练了 {time}"),
    "lead_trained_plain": ("trained for {time} on {device}", "在 {device} 上训练了 {time}"),
    "lead_better": ("It needs {bpb} bits for each byte of text it has never seen, {percent} less than xz\u00a0-9.", "没见过的文本，每字节只要 {bpb} 比特，比 xz\u00a0-9 少 {percent}。"),
    "lead_worse": ("It needs {bpb} bits for each byte of text it has never seen, {percent} more than xz\u00a0-9: it wants more training.", "没见过的文本，每字节要 {bpb} 比特，比 xz\u00a0-9 多 {percent}，还需要继续训练。"),
    "lead_alone": ("It needs {bpb} bits for each byte of text it has never seen.", "没见过的文本，每字节要 {bpb} 比特。"),
    "card_bpb": ("Held-out bits per byte", "留出集每字节比特数"),
    "card_bpb_note": ("xz\u00a0-9 needs {xz}", "xz\u00a0-9 需要 {xz}"),
    "card_tokens": ("Tokens seen", "训练词元数"),
    "card_tokens_note": ("{speed} tokens/s", "每秒 {speed} 个"),
    "card_epochs_note": ("{speed} tokens/s, {epochs} epochs", "每秒 {speed} 个，共 {epochs} 轮"),
    "card_time": ("Training time", "训练用时"),
    "card_time_note": ("{total} in all", "全程 {total}"),
    "card_energy": ("Energy", "能耗"),
    "card_energy_measured": ("measured", "实测"),
    "card_energy_estimated": ("estimated", "估算"),
    # corpus
    "corpus": ("What went in", "语料"),
    "corpus_fate": ("What became of the {n} documents read", "读入的 {n} 篇文档的去向"),
    "corpus_from": ("Source", "来源"),
    "fate_train": ("training", "训练集"),
    "fate_heldout": ("held out", "留出集"),
    "fate_exact": ("exact duplicates", "完全重复"),
    "fate_near": ("near-duplicates", "近似重复"),
    "fate_dropped": ("dropped by the filters", "质量过滤"),
    "files": ("Files", "文件"),
    "rows": ("Rows, records", "行、记录"),
    "files_text": ("{read} of {found} read", "共 {found} 个，读取 {read} 个"),
    "encodings": ("Encodings", "编码"),
    "repaired": ("Repaired", "修复"),
    "repaired_text": ("{n} garbled lines", "{n} 行乱码"),
    "redacted": ("Personal data replaced", "替换的个人信息"),
    "redacted_url": ("URLs with secrets", "带密钥的网址"),
    "redacted_email": ("e-mail addresses", "邮箱"),
    "redacted_cn-id": ("Chinese resident IDs", "身份证号"),
    "redacted_bank-card": ("bank cards", "银行卡号"),
    "redacted_ip": ("IP addresses", "IP 地址"),
    "redacted_phone": ("telephone numbers", "电话号码"),
    "redacted_passport": ("passports", "护照号"),
    "redacted_plate": ("number plates", "车牌号"),
    "split_by_group": ("The split is by document. No document, and no copy of one, is on both sides.", "按文档切分；同一篇文档及其副本不会同时出现在两边。"),
    "split_by_stretch": ("There are too few files to hold out whole ones, so long files were cut into contiguous stretches. No passage is on both sides, but names and style are; an unknown book would cost more bits.", "文件太少，无法整篇留出，因此把长文件切成连续的片段。两边没有相同的段落，但人名和文风是相通的；换一本没见过的书，每字节比特数会更高。"),
    "split": ("Split", "数据集"),
    "documents": ("Documents", "文档"),
    "characters": ("Characters", "字符"),
    "bytes": ("Bytes", "字节"),
    "tokens": ("Tokens", "词元"),
    "train": ("Training", "训练集"),
    "heldout": ("Held out", "留出集"),
    "total": ("Total", "合计"),
    "language": ("Language", "语言"),
    "skipped_why": ("What was left out, and why", "没有采用的内容及原因"),
    "what": ("Of what", "类别"),
    "other_reasons": ("other reasons", "其他原因"),
    "languages": ("Languages", "语言构成"),
    "reason": ("Reason", "原因"),
    "count": ("Count", "数量"),
    "skipped_list": ("List ({n})", "明细（{n} 项）"),
    "nothing_skipped": ("Nothing was skipped or dropped.", "没有跳过或丢弃任何内容。"),
    # tokenizer
    "tokenizer": ("Tokenizer", "分词器"),
    "tokenizer_lead": ("{kind} with {n} tokens, trained on the training split only.", "{kind}，词表 {n}，只在训练集上训练。"),
    "characters_per_token": ("Characters per token", "每个词元的平均字符数"),
    "segmentation": ("How it cuts text", "切分示例"),
    "segmentation_note": ("Each block is one token; · is a space, ↵ a line end, <E4 B8> bytes of a character that is not whole.", "一个色块是一个词元；· 表示空格，↵ 表示换行，<E4 B8> 表示不完整字符的字节。"),
    "tokens_in_text": ("{tokens} tokens for {characters} characters", "{characters} 个字符，{tokens} 个词元"),
    # training
    "training": ("Training", "训练过程"),
    "training_lead": ("{steps} steps, {tokens} tokens, {time}.", "共 {steps} 步，{tokens}词元，用时 {time}。"),
    "stopped_steps": ("It stopped because the planned steps were done.", "计划的步数已完成，训练结束。"),
    "stopped_time": ("It stopped because its time was up.", "时间预算用完，训练结束。"),
    "stopped_early stopping": ("It stopped early, when the held-out loss no longer fell.", "留出集损失不再下降，提前停止。"),
    "stopped_signal": ("It was stopped by a signal.", "收到停止信号，训练结束。"),
    "stopped_other": ("It stopped by: {by}.", "结束原因：{by}。"),
    "loss": ("Loss, nats per token", "损失（nat / 词元）"),
    "loss_training": ("training", "训练集"),
    "each_step": ("each step", "单步"),
    "speed_smooth": ("smoothed", "平滑"),
    "lr_last": ("at the end", "末值"),
    "loss_heldout": ("held out", "留出集"),
    "speed": ("Tokens per second", "每秒词元数"),
    "lr": ("Learning rate", "学习率"),
    "step": ("step", "步数"),
    "tip_step": ("step {step}", "第 {step} 步"),
    # evaluation
    "evaluation": ("Evaluation", "评测"),
    "evaluation_lead": ("A model that predicts text well can store it in few bits. All figures are for the same {bytes} of held-out text; fewer is better.", "预测得越准，存同一段文本需要的比特就越少。以下各项针对同一份 {bytes} 的留出文本，越低越好。"),
    "coder": ("Method", "方法"),
    "bits_per_byte": ("Bits per byte", "比特 / 字节"),
    "against_xz": ("Against xz\u00a0-9", "与 xz\u00a0-9 相比"),
    "this_model": ("This model", "本模型"),
    "order0": ("Order-0 token model", "零阶词元模型"),
    "ngram": ("Kneser–Ney {order}-gram", "Kneser–Ney {order} 元模型"),
    "ngram_note": ("The {order}-gram model (interpolated modified Kneser–Ney) only counts the same tokens, {tokens} of them", "{order} 元模型（插值修正 Kneser–Ney 平滑）只对同样的词元计数，共 {tokens}个"),
    "ngram_all": (", all of the training text", "，即全部训练文本"),
    "ngram_share": (", {share} of the training text", "，占训练文本的 {share}"),
    "ngram_time": (", and took {time}.", "，用时 {time}。"),
    "ngram_no_time": (".", "。"),
    "eval_loss": ("Loss, nats per token", "损失（nat / 词元）"),
    "eval_perplexity": ("Perplexity per token", "词元困惑度"),
    "eval_tokens": ("Tokens scored", "评测词元数"),
    "eval_window": ("Window and stride, tokens", "窗口与步长（词元）"),
    "eval_note": ("xz and gzip compress the held-out text alone, as the commands do, and store all they need to unpack it. The order-0 model knows how often each token occurs in the training text and nothing else. The size of the model itself is not counted.", "xz 和 gzip 与命令行用法一致，只压缩留出文本本身，解压所需的信息都计算在内。零阶模型只知道每个词元在训练集里的频率。模型自身的体积不计入。"),
    # samples
    "samples": ("Samples", "生成样例"),
    "samples_lead": ("Unedited, drawn once. The prompt is printed in bold.", "一次生成，未经挑选和修改。粗体是提示词。"),
    "temperature": ("temperature {t}", "温度 {t}"),
    "greedy": ("greedy", "贪心解码"),
    "seed": ("seed {seed}", "种子 {seed}"),
    "no_prompt": ("No prompt", "无提示词"),
    # recipe, machine
    "recipe": ("Recipe", "配方"),
    "recipe_lead": ("Every setting. With the same text it is all that is needed to repeat the run; a budget in minutes is filled with as many steps as the machine manages.", "全部设置。有了它和同一份语料就能重做这次训练；如果按分钟给预算，步数取决于机器的速度。"),
    "command": ("Command", "命令"),
    "machine": ("Machine, time, energy", "机器、时间与能耗"),
    "where_time": ("Where the {time} went", "{time}花在了哪里"),
    "hardware": ("Hardware", "硬件"),
    "versions": ("Versions", "版本"),
    "model": ("Model", "模型"),
    "energy": ("Energy", "能耗"),
    "energy_measured": ("{energy}, measured: {method}.", "{energy}，实测：{method}。"),
    "energy_estimated": ("About {energy}. This is an estimate, not a measurement: {method}.", "约 {energy}。此为估算，并非实测：{method}。"),
    "energy_co2": ("At {factor} kg CO₂e per kWh, that is {co2} CO₂e.", "按每千瓦时 {factor} kg CO₂e 计，折合 {co2} CO₂e。"),
    "method_unknown": ("method not recorded", "方法没有记录"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "device": ("device", "设备"),
    "precision": ("precision", "精度"),
    "compiled": ("torch.compile", "torch.compile"),
    "processor": ("processor", "处理器"),
    "cores": ("cores", "核心数"),
    "features": ("instruction sets", "指令集"),
    "memory_bytes": ("memory", "内存"),
    "system": ("system", "系统"),
    "family": ("family", "模型族"),
    "parameters": ("parameters", "参数量"),
    "stage_collect": ("collect", "收集"),
    "stage_corpus": ("corpus", "语料"),
    "stage_tokenizer": ("tokenizer", "分词器"),
    "stage_encode": ("encode", "编码"),
    "stage_train": ("train", "训练"),
    "stage_evaluate": ("evaluate", "评测"),
    "stage_model": ("write model", "写模型"),
    "stage_ngram": ("count n-grams", "n 元计数"),
    "stage_samples": ("samples", "样例"),
    "stage_report": ("report", "报告"),
    # going on
    "next": ("How to go on", "下一步"),
    "next_generate": ("Continue a text", "续写一段文本"),
    "next_chat": ("Talk to it in the terminal", "在终端里对话"),
    "next_own": ("Train on your own folder", "用自己的文件夹训练"),
    "next_longer": ("Train for longer", "训练更久"),
    "next_python": ("In Python", "在 Python 中使用"),
    "next_transformers": ("In transformers", "在 transformers 中使用"),
    "next_prompt": ("Once upon a time", "从前"),
    # footer
    "provenance": ("Provenance", "来源校验"),
    "provenance_lead": ("SHA-256 of what this run read and wrote.", "本次运行读写的文件的 SHA-256。"),
    "footer": ("Written by hanmo {version} from the files of this run alone. This page loads nothing and runs nothing.", "由 hanmo {version} 生成，内容只来自本次运行的文件。本页不加载任何外部资源，也不运行脚本。"),
}  # fmt: skip

_REASONS_ZH = {
    "too short": "太短",
    "empty": "空文档",
    "mostly symbols or digits": "以符号或数字为主",
    "encoded binary data": "编码后的二进制数据",
    "repetitive lines": "大量重复行",
    "too few words": "字词太少",
    "too many words": "字词太多",
    "words too short or too long": "词太短或太长",
    "clauses too short or too long": "断句太碎或太长",
    "too many hash signs or ellipses": "井号或省略号太多",
    "mostly bullet points": "以列表项为主",
    "lines cut off with an ellipsis": "多行以省略号截断",
    "words without letters": "非文字内容太多",
    "hardly any function words": "几乎没有虚词",
    "duplicate lines": "重复行太多",
    "duplicate paragraphs": "重复段落太多",
    "one n-gram over and over": "同一短语反复出现",
    "duplicate n-grams": "重复片段太多",
    "no end of a sentence": "行末没有句末标点",
    "short line": "行太短",
    "line about JavaScript": "提到 JavaScript 的行",
    "policy or licence notice": "条款或版权声明",
    "curly brackets": "含花括号",
    "placeholder text": "占位文本（Lorem ipsum）",
    "too few sentences": "句子太少",
    "few lines end as a sentence does": "以句末标点结尾的行太少",
    "mostly short lines": "以短行为主",
    "navigation": "导航",
    "menu or list of links": "菜单或链接列表",
    "address of the web": "网址",
    "mostly navigation": "以导航为主",
    "mostly addresses of the web": "以网址为主",
    "unlike good text": "与正常文本差别太大",
    "too easy to foresee": "过于容易预测",
    "exact duplicate": "完全重复",
    "near-duplicate": "近似重复",
    "little left after what stood earlier": "去掉前文出现过的内容后所剩无几",
    "contains an evaluation text": "含评测集文本",
    "hidden": "隐藏文件",
    "unknown kind": "不支持的文件类型",
    "nothing in it": "没有内容",
    "vanished while reading": "读取时文件消失",
    "line too long": "行太长",
    "row too long": "行太长",
    "row is not valid JSON": "不是合法的 JSON 行",
    "binary data": "二进制数据",
    "cannot be read": "无法读取",
    "no main text found in this HTML page": "HTML 页面中没有正文",
    "no main text found in this page": "网页中没有正文",
    "no text in this page": "页面中没有正文",
    "no text in this e-book": "电子书中没有正文",
    "no wiki text": "不是维基文本",
    "redirect": "重定向页",
    "no article": "不是条目页",
    "page too large": "页面过大",
    "HTML page too large": "HTML 页面过大",
    "a page that was met before": "先前抓取过的页面",
    "a log of the crawler": "爬虫日志",
    "content that is neither HTML nor plain text": "内容既非 HTML 也非纯文本",
    "HTTP status 3xx": "HTTP 状态码 3xx",
    "HTTP status 4xx": "HTTP 状态码 4xx",
    "HTTP status 5xx": "HTTP 状态码 5xx",
    "no valid HTTP header": "HTTP 头不合法",
    "response of another protocol than HTTP": "非 HTTP 响应",
    "record of an unknown type": "未知类型的记录",
    "record too large": "记录过大",
    "record is cut off": "记录不完整",
    "record header without end": "记录头没有结尾",
    "record without a valid Content-Length": "记录缺少合法的 Content-Length",
    "record is not as long as its Content-Length": "记录长度与 Content-Length 不符",
    "bytes between two records": "两条记录之间有多余字节",
    "bytes behind the last record": "最后一条记录之后有多余字节",
    "no WARC record in this file": "文件中没有 WARC 记录",
    "damaged compressed content": "压缩内容已损坏",
    "damaged XML": "XML 已损坏",
    "damaged": "文件已损坏",
    "encrypted": "文件已加密",
    "XML in an encoding that is not read": "XML 的编码无法识别",
    "XML that is no dump of a MediaWiki": "XML 不是 MediaWiki 转储",
    "XML with a document type (DOCTYPE), which could define entities, is refused": "XML 带有 DOCTYPE，可能定义实体，已拒绝",
    "no supported encoding fits": "没有匹配的编码",
    "a 7-bit East Asian encoding (ISO-2022), which is not supported": "不支持的 7 位东亚编码（ISO-2022）",
    "cannot be read to its end": "未能读到文件末尾",
}
"""Reasons that the corpus builder gives most, without what stands in brackets; the others stay as they are."""
_REST_OF_FILE = "rest of the file: "

_BIG = {
    "en": ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")),
    "zh": ((1e12, " 万亿"), (1e8, " 亿"), (1e4, " 万")),
}


def _significant(value: float, digits: int = 3) -> str:
    """Fixed-point with about `digits` significant digits: 1.87, 23.4, 512."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 12)}f}"


class Writer:
    """Writes sentences and numbers in one language."""

    def __init__(self, lang: Language):
        self.lang: Language = lang
        self._column = 0 if lang == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        """The sentence `key`, its places filled."""
        return TEXT[key][self._column].format(**values)

    def known(self, key: str) -> bool:
        """Whether there is a sentence of this name."""
        return key in TEXT

    def reason(self, text: str) -> str:
        """A reason of the corpus builder."""
        if self.lang == "en":
            return text
        if text.startswith(_REST_OF_FILE):
            return f"文件其余部分：{self.reason(text.removeprefix(_REST_OF_FILE))}"
        if text in _REASONS_ZH:
            return _REASONS_ZH[text]
        known, _, detail = text.partition(" (")
        return f"{_REASONS_ZH[known]}（{detail.replace(')', '）', 1)}" if known in _REASONS_ZH else text

    def redacted_kind(self, kind: str) -> str:
        """The name of a kind of personal data, or the kind."""
        key = f"redacted_{kind}"
        return self(key) if key in TEXT else kind

    def method(self, text: str) -> str:
        """How energy was found, in the words of `hanmo.core.machine`."""
        inside = re.sub(r"^(?:measured|estimated) \((.*)\)$", r"\1", text)
        if self.lang == "en":
            return inside
        estimate = re.fullmatch(r"([\d.]+) W per busy core, (\d+) core-seconds", inside)
        if estimate:
            return f"每个满载核心按 {estimate[1]} W 计，共 {estimate[2]} 核·秒"
        return inside.replace("RAPL, whole processor package", "RAPL，整个处理器封装")

    def tokenizer_kind(self, kind: str) -> str:
        """The kind of a tokenizer at the beginning of a sentence."""
        return kind.replace("byte-level ", "字节级 ") if self.lang == "zh" else kind[:1].upper() + kind[1:]

    def integer(self, value: float | None) -> str:
        """1234567 → 1,234,567."""
        return "–" if value is None or not math.isfinite(value) else f"{round(value):,}"

    def number(self, value: float | None, digits: int = 3) -> str:
        """About `digits` significant digits; very small and very large values in powers of ten."""
        if value is None or not math.isfinite(value):
            return "–"
        if value and not 1e-4 <= abs(value) < 1e9:
            mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
            superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
            return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa} × 10{superscript}"
        return _significant(value, digits)

    def amount(self, value: float | None) -> str:
        """A count in words: 1.87 million, 187 万."""
        if value is None or not math.isfinite(value):
            return "–"
        for unit, name in _BIG[self.lang]:
            if value >= unit:
                return _significant(value / unit) + name
        return self.integer(value) + (" " if self.lang == "zh" else "")

    def percent(self, share: float) -> str:
        """0.123 → 12%, with a digit more below 10 %."""
        digits = 0 if abs(share) >= 0.1 else 1
        return f"{100 * share:.{digits}f}%"

    def size(self, n_bytes: float | None) -> str:
        """Bytes in decimal units: 4.21 MB."""
        if n_bytes is None or not math.isfinite(n_bytes):
            return "–"
        for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if n_bytes >= unit:
                return f"{_significant(n_bytes / unit)}\u00a0{name}"
        return f"{n_bytes:.0f}\u00a0B" if self.lang == "en" else f"{n_bytes:.0f} 字节"

    def time(self, seconds: float | None) -> str:
        """A duration: 3 min 2 s, 3 分 2 秒."""
        if seconds is None or not math.isfinite(seconds) or seconds < 0:
            return "–"
        h, m, s = ("h", "min", "s") if self.lang == "en" else ("小时", "分", "秒")
        if seconds < 10:
            return f"{seconds:.1f}\u00a0{s}"
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        parts = [(hours, h), (minutes, m)] if hours else [(minutes, m), (rest, s)] if minutes else [(rest, s)]
        return " ".join(f"{n}\u00a0{unit}" for n, unit in parts if n) or f"0\u00a0{s}"

    def energy(self, kwh: float | None) -> str:
        """Kilowatt-hours, or watt-hours where it is little."""
        if kwh is None or not math.isfinite(kwh):
            return "–"
        wh, k = ("Wh", "kWh") if self.lang == "en" else ("瓦时", "千瓦时")
        return f"{self.number(1000 * kwh)}\u00a0{wh}" if kwh < 1 else f"{self.number(kwh)}\u00a0{k}"

    def mass(self, kg: float | None) -> str:
        """Kilograms, or grams where it is little."""
        if kg is None or not math.isfinite(kg):
            return "–"
        return f"{self.number(1000 * kg)}\u00a0g" if kg < 1 else f"{self.number(kg)}\u00a0kg"

    def language_name(self, code: str) -> str:
        """The name of a language code, or the code."""
        names = {
            "en": ("English", "英文"),
            "zh": ("Chinese", "中文"),
            "code": ("Source code", "代码"),
            "py": ("Python", "Python 代码"),
            "python": ("Python", "Python 代码"),
            "other": ("Other", "其他语言"),
            "und": ("Undetermined", "未识别"),
            "unknown": ("Undetermined", "未识别"),
            "": ("Undetermined", "未识别"),
        }
        return names[code][self._column] if code in names else code
