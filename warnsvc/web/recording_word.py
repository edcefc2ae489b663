"""The words of recordings: what each refusal means, and what languages call themselves.

Each sentence names the property that is wrong and what to do about it; none asks for a setting that
the file has already.
"""

from warnsvc.words import mark

RECORDING_REFUSALS: dict[str, str] = {
    "recording_missing": mark("请选择录音文件；空文件不行。"),
    "recording_too_large": mark(
        "录音文件超过 {most} MB。请转成 8 kHz、16 位、单声道的 WAV，或 64 kbps 的 MP3。"
    ),
    "recording_other_format": mark(
        "这是 {format} 文件，电话里不一定放得出来。请转成 8 kHz、16 位、单声道的 WAV，或 MP3。"
    ),
    "recording_unknown_format": mark(
        "这不是 WAV 或 MP3 录音。请转成 8 kHz、16 位、单声道的 WAV，或 MP3。"
    ),
    "recording_not_pcm": mark("这个 WAV 不是普通的 PCM 编码。请转成 8 kHz、16 位、单声道的 PCM。"),
    "recording_not_mono": mark("录音有 {channels} 个声道，电话里只有一个。请转成单声道。"),
    "recording_bits": mark("录音每个样本 {bits} 位。请转成 16 位。"),
    "recording_rate": mark("采样率 {rate} Hz 不能用。请转成 8000 或 16000 Hz。"),
    "recording_damaged": mark("录音文件坏了，中间读不下去。请重新导出，再上传。"),
    "recording_cut_off": mark("录音文件不完整，后面缺了一段。请重新导出或重新拷贝，再上传。"),
    "recording_too_short": mark("录音不到 {least} 秒，说不清危险和按键。请念完整，再上传。"),
    "recording_too_long": mark("录音有 {seconds} 秒，最多 {most} 秒。请念得短一些。"),
    "recording_silent": mark("录音里几乎没有声音。请检查麦克风，重录。"),
    "recording_language_unknown": mark("没有“{language}”这种语言。"),
    "recording_without_text": mark("还没有写这种语言的正文。请先写正文，再照着录音。"),
    "changed_while_recording": mark("您录音的时候，正文被改过。请照新的正文重录。"),
    "recording_unknown": mark("这种语言没有录音，可能别人已经去掉了。"),
}

OWN_NAMES = {"zh": "汉语", "ug": "ئۇيغۇرچە", "kk-Arab": "قازاقشا", "en": "English"}
"""Languages as their speakers write them."""
