"""What is known of each indicator of pandas-ta-classic 0.8.32, and which are refused and why."""

# indicator | inputs by first letter | unit | outputs | description. An output is its lookback, or
# name=column:lookback where there are several; ~ marks a difference, /unit a unit of its own.
ROWS = """
aberration | hlc | price | middle=ABER_ZG:15 upper=ABER_SG:180 lower=ABER_XG:180 atr=ABER_ATR:250
    | aberration bands, 5 and 15 bars
accbands | hlc | price | lower=ACCBL:20 middle=ACCBM:20 upper=ACCBU:20 | acceleration bands, 20 bars
ad | hlcv | shares | ~2 | accumulation/distribution line
adosc | hlcv | shares | 100 | Chaikin oscillator, 3 and 10 bars
adx | hlc | 0..100 | adx=ADX:295 plus=DMP:245 minus=DMN:240 | average directional index, 14 bars
adxr | hlc | 0..100 | adxr=ADXR:305 plus=DMP:245 minus=DMN:240 | directional rating, 14 bars
alma | c | price | 10 | Arnaud Legoux moving average, 10 bars
amat | c | flag | long=AMATe_LR:35 short=AMATe_SR:35 | Archer averages trend, 8 and 21 bars
ao | hl | price | 34 | awesome oscillator, 5 and 34 bars
aobv | cv | shares | obv=OBV:~12 min=OBV_min:~12 max=OBV_max:~12 fast=OBVe_4:~40 slow=OBVe_12:~120
    long=AOBV_LR:20/flag short=AOBV_SR:20/flag | Archer on-balance volume
apo | c | price | 26 | difference of means, 12 and 26 bars
aroon | hl | 0..100 | down=AROOND:15 up=AROONU:15 oscillator=AROONOSC:15/-100..100 | Aroon, 14 bars
atr | hlc | price | 235 | average true range, 14 bars
avgprice | ohlc | price | 1 | mean of open, high, low and close
avolume | c | fraction/year | 21 | annualised volatility, 20 bars
bbands | c | price | lower=BBL:5 middle=BBM:5 upper=BBU:5 width=BBB:5/percent position=BBP:5/ratio
    | Bollinger bands, 5 bars
bias | c | fraction | 26 | close against its mean, 26 bars
bop | ohlc | -1..1 | 1 | balance of power
brar | ohlc | percent | ar=AR:26 br=BR:27 | sentiment of opens and closes, 26 bars
cci | hlc | 1 | 14 | commodity channel index, 14 bars
cdl_doji | ohlc | pattern | 11 | candle doji
cdl_inside | ohlc | side | 2 | candle inside bar
cdl_z | ohlc | sd | open=open_Z:30 high=high_Z:30 low=low_Z:30 close=close_Z:30
    | z-score of the candle, 30 bars
ce | hlc | price | long=CE_L:295 short=CE_S:295 | chandelier exit, 22 bars
cfo | c | percent | 9 | Chande forecast oscillator, 9 bars
cg | c | bars | 10 | centre of gravity, 10 bars
chop | hlc | 0..100 | 15 | choppiness index, 14 bars
cksp | hlc | price | long=CKSPl:155 short=CKSPs:155 | Chande-Kroll stop, 10 and 20 bars
cmf | hlcv | fraction | 20 | Chaikin money flow, 20 bars
cmo | c | -100..100 | 15 | Chande momentum, 14 bars
coppock | c | percent | 24 | Coppock curve, 10, 11 and 14 bars
cpr | ohlc | price | top=CPR_TC:2 pivot=CPR_PIVOT:2 bottom=CPR_BC:2 r1=CPR_R1:2 r2=CPR_R2:2
    s1=CPR_S1:2 s2=CPR_S2:2 width=CPR_WIDTH:2 width_percent=CPR_WIDTH_PCT:2/percent
    width_class=CPR_WIDTH_CLASS:2/class position=CPR_POSITION:2/side
    | pivot range of the previous bar
cti | c | -1..1 | 12 | correlation with time, 12 bars
cvi | hl | percent | 120 | Chaikin volatility, 10 bars
decay | c | price | 5 | close, or last close less 0.2
decreasing | c | flag | 2 | close fell
dema | c | price | 90 | double exponential average, 10 bars
dm | hl | price | plus=DMP:250 minus=DMN:245 | directional movement, 14 bars
donchian | hl | price | lower=DCL:20 middle=DCM:20 upper=DCU:20 | Donchian channel, 20 bars
dpo | c | price | 31 | close against a past mean, 20 bars
dsp | c | price | 140 | close less its exponential average, 14 bars
dx | hlc | 0..100 | 265 | directional movement index, 14 bars
ebsw | c | -1..1 | 110 | even better sine wave, 40 bars
edecay | c | price | 15 | close, or the last value times exp(-1/5)
efi | cv | price*shares | 145 | Elder's force index, 13 bars
ema | c | price | 80 | exponential average, 10 bars
emv | hlv | price^2/shares | 2 | ease of movement
entropy | c | bits | 10 | entropy of the closes' shares, 10 bars
eom | hlcv | price^2/shares | 15 | mean ease of movement, 14 bars
er | c | fraction | 11 | efficiency ratio, 10 bars
eri | hlc | price | bull=BULLP:130 bear=BEARP:130 | Elder ray, 13 bars
fisher | hl | 1 | fisher=FISHERT:65 signal=FISHERTs:70 | Fisher transform, 9 bars
fosc | c | percent | 14 | forecast oscillator, 14 bars
fwma | c | price | 10 | Fibonacci-weighted average, 10 bars
ha | ohlc | price | open=HA_open:25 high=HA_high:25 low=HA_low:25 close=HA_close:1
    | Heikin-Ashi candle
hilo | hlc | price | line=HILO:30 | Gann high-low activator, 13 and 21 bars
hl2 | hl | price | 1 | middle of high and low
hlc3 | hlc | price | 1 | mean of high, low and close
hma | c | price | 12 | Hull moving average, 10 bars
ht_dcperiod | c | bars | 442 | Hilbert transform, dominant cycle
ht_dcphase | c | degrees | 442 | Hilbert transform, cycle phase
ht_phasor | c | price | in_phase=HT_PHASOR_INPHASE:442 quadrature=HT_PHASOR_QUAD:442
    | Hilbert transform, phasor
ht_sine | c | -1..1 | sine=HT_SINE:442 lead=HT_LEADSINE:442 | Hilbert transform, sine wave
ht_trendline | c | price | 400 | Hilbert transform, trend line
ht_trendmode | c | flag | 400 | Hilbert transform, trend instead of cycle
hvol | c | percent/year | 21 | historical volatility, 20 bars
hwc | c | price | middle=HWM:442 | Holt-Winters channel, its middle
hwma | c | price | 442 | Holt-Winters average
ichimoku | hlc | price | span_a=ISA:52 span_b=ISB:78 tenkan=ITS:52 kijun=IKS:52
    | Ichimoku cloud over its bar, without chikou
increasing | c | flag | 2 | close rose
inertia | chl | 0..100 | 155 | regression of the volatility index, 20 bars
jma | c | price | 350 | Jurik-like average, 7 bars
kama | c | price | 255 | Kaufman adaptive average, 10 bars
kc | hlc | price | lower=KCLe:155 middle=KCBe:155 upper=KCUe:160 | Keltner channel, 20 bars
kdj | hlc | 0..100 | k=K:55 d=D:60 j=J:65/1 | stochastic k, d and j, 9 bars
kst | c | percent | line=KST:45 signal=KSTs:53 | know sure thing
kurtosis | c | 1 | 30 | excess kurtosis of the close, 30 bars
linreg | c | price | 14 | end of the regression line, 14 bars
linregangle | c | degrees | 14 | angle of the regression line, 14 bars
linregintercept | c | price | 14 | start of the regression line, 14 bars
linregslope | c | price/bar | 14 | slope of the regression line, 14 bars
log_return | c | log return | 2 | ln close against the bar before
lrsi | c | 0..100 | 45 | Laguerre relative strength
macd | c | price | macd=MACD:270 hist=MACDh:270 signal=MACDs:275
    | convergence divergence, 12 and 26 bars
macdext | c | price | macd=MACDEXT:270 signal=MACDEXTs:275 hist=MACDEXTh:270 | same as macd
macdfix | c | price | macd=MACDFIX:270 hist=MACDFIXh:270 signal=MACDFIXs:275 | same as macd
mad | c | price | 30 | mean absolute deviation, 30 bars
mama | c | price | mama=MAMA:285 fama=FAMA:310 | MESA adaptive average
marketfi | hlv | price/shares | 1 | market facilitation index
massi | hl | ratio | 115 | mass index, 9 and 25 bars
mcgd | c | price | 190 | McGinley dynamic, 10 bars
md | c | price | 30 | mean absolute deviation, 30 bars
median | c | price | 30 | median close, 30 bars
medprice | hl | price | 1 | middle of high and low
mfi | hlcv | 0..100 | 15 | money flow index, 14 bars
midpoint | c | price | 2 | middle of the closes, 2 bars
midprice | hl | price | 2 | middle of the range, 2 bars
minus_dm | hl | price | 245 | Wilder sum of falling lows, 14 bars
mmar | c | price | 10=MMAR_10:80 15=MMAR_15:120 20=MMAR_20:155 25=MMAR_25:190 30=MMAR_30:230
    35=MMAR_35:270 | Madrid average ribbon, bars
mom | c | price | 11 | change over 10 bars
msw | c | -1..1 | sine=MSW_SINE:6 lead=MSW_LEAD:6 | MESA sine wave, 5 bars
natr | hlc | percent | 235 | average true range / close, 14 bars
nvi | cv | percent | ~2 | negative volume index
obv | cv | shares | ~2 | on-balance volume
ohlc4 | ohlc | price | 1 | mean of open, high, low and close
pdist | ohlc | price | 2 | distance the price went inside a bar
percent_return | c | fraction | 2 | close against the bar before, less 1
pgo | hlc | ranges | 260 | pretty good oscillator, 14 bars
plus_dm | hl | price | 250 | Wilder sum of rising highs, 14 bars
pmax | hlc | price | 150 | profit maximizer stop, 10 bars
po | c | percent | 14 | close against its regression line, 14 bars
ppo | c | percent | ppo=PPO:26 hist=PPOh:120 signal=PPOs:115 | percentage price oscillator
psar | hlc | price | stop=PSARl+PSARs:130 factor=PSARaf:130/fraction reversal=PSARr:115/flag
    | parabolic stop and reverse
psl | c | 0..100 | 13 | share of rising bars, 12 bars
pvi | cv | percent | ~2 | positive volume index
pvo | v | percent | pvo=PVO:270 hist=PVOh:270 signal=PVOs:285 | percentage volume oscillator
pvol | cv | price*shares | 1 | price times volume
pvr | cv | class | 2 | price-volume rank, 1 to 4
pvt | cv | percent*shares | ~3 | price-volume trend
pwma | c | price | 10 | Pascal-weighted average, 10 bars
qqe | c | 0..100 | line=QQE:300 mean=QQE_14_5_4.236_RSIMA:240 lower=QQEb_l:295 upper=QQEb_s:300
    side=QQEd:170/side | quantitative qualitative estimation
qstick | oc | price | 10 | mean of close - open, 10 bars
quantile | c | price | 30 | quantile 0.5 of the close, 30 bars
rainbow | c | price | 1=RAINBOW_1:20 2=RAINBOW_2:20 3=RAINBOW_3:20 4=RAINBOW_4:20 5=RAINBOW_5:20
    6=RAINBOW_6:20 7=RAINBOW_7:20 8=RAINBOW_8:20 9=RAINBOW_9:20 10=RAINBOW_10:20
    | rainbow of 2-bar averages, times smoothed
rma | c | price | 140 | Wilder average, 10 bars
roc | c | percent | 11 | change over 10 bars
rocp | c | fraction | 11 | change over 10 bars
rocr | c | ratio | 11 | close against 10 bars before
rocr100 | c | percent | 11 | close against 10 bars before
rsi | c | 0..100 | 240 | relative strength index, 14 bars
rsx | c | 0..100 | 140 | smoothed relative strength, 14 bars
rvgi | ohlc | ratio | hist=RVGIh:20 line=RVGI:17 signal=RVGIs:20 | relative vigor index, 14 bars
rvi | chl | 0..100 | 150 | relative volatility index, 14 bars
sarext | hl | price | 140 | parabolic stop, negative when short
sinwma | c | price | 14 | sine-weighted average, 14 bars
skew | c | 1 | 30 | skewness of the close, 30 bars
slope | c | price/bar | 2 | change over 1 bar
sma | c | price | 10 | mean close, 10 bars
smc_sweep | ohlc | side | 16 | sweep of the last extreme, 15 bars
smi | c | -1..1 | smi=SMI:210 signal=SMIs:215 oscillator=SMIo:220 | ergodic momentum, 5 and 20 bars
squeeze | hlc | price | squeeze=SQZ:20 on=SQZ_ON:21/flag off=SQZ_OFF:21/flag no=SQZ_NO:21/flag
    | Bollinger bands inside Keltner's, 20 bars
squeeze_pro | hlc | price | squeeze=SQZPRO:20 wide=SQZPRO_ON_WIDE:21/flag
    normal=SQZPRO_ON_NORMAL:21/flag narrow=SQZPRO_ON_NARROW:21/flag off=SQZPRO_OFF:21/flag
    no=SQZPRO_NO:21/flag | squeeze of three widths
ssf | c | price | 35 | Ehlers super smoother, 10 bars
stc | c | price | macd=STCmacd:270 | same as macd
stderr | c | price | 14 | standard error of the regression, 14 bars
stdev | c | price | 30 | standard deviation of the close, 30 bars
stoch | hlc | 0..100 | k=STOCHk:18 d=STOCHd:18 | stochastic, 14 bars
stochf | hlc | 0..100 | k=STOCHFk:7 d=STOCHFd:7 | fast stochastic, 5 bars
stochrsi | c | 0..100 | k=STOCHRSIk:265 d=STOCHRSId:265 | stochastic of the relative strength
supertrend | hlc | price | line=SUPERT:110 side=SUPERTd:75/side | supertrend, 7 bars, 3 ranges
swma | c | price | 10 | symmetrically weighted average, 10 bars
t3 | c | price | 120 | Tillson T3 average, 10 bars
td_seq | c | count | up=TD_SEQ_UPa:17 down=TD_SEQ_DNa:17 | closes in a row beyond 4 bars before
tema | c | price | 100 | triple exponential average, 10 bars
thermo | hl | price | thermo=THERMO:20 mean=THERMOma:195 long=THERMOl:100/flag
    short=THERMOs:85/flag | Elder's thermometer, 20 bars
trima | c | price | 11 | triangular average, 10 bars
trix | c | percent | line=TRIX:405 signal=TRIXs:410 | change of a triple average, 30 bars
trixh | c | percent | line=TRIX:240 signal=TRIXs:245 hist=TRIXh:250
    | change of a triple average, 18 bars
true_range | hlc | price | 2 | true range
tsf | c | price | 14 | regression forecast one bar ahead, 14 bars
tsi | c | -100..100 | tsi=TSI:275 signal=TSIs:285 | true strength index, 13 and 25 bars
ttm_trend | hlc | side | 6 | close against the mean middle, 6 bars
typprice | hlc | price | 1 | mean of high, low and close
ui | c | percent | 27 | ulcer index, 14 bars
uo | hlc | 0..100 | 29 | ultimate oscillator
variance | c | price^2 | 30 | variance of the close, 30 bars
vhf | c | ratio | 29 | vertical horizontal filter, 28 bars
vortex | hlc | ratio | plus=VTXP:15 minus=VTXM:15 | vortex, 14 bars
vosc | v | percent | 28 | volume oscillator, 14 and 28 bars
vwma | cv | price | 10 | volume-weighted average, 10 bars
vwmacd | cv | price | macd=VWMACD:26 hist=VWMACDh:34 signal=VWMACDs:34
    | convergence divergence by volume
wad | hlc | price | ~2 | Williams accumulation/distribution
wcp | hlc | price | 1 | mean of high, low and twice the close
willr | hlc | -100..0 | 14 | Williams %R, 14 bars
wma | c | price | 10 | linearly weighted average, 10 bars
zlma | c | price | 85 | zero-lag exponential average, 10 bars
zscore | c | sd | 30 | z-score of the close, 30 bars
"""

# Candle patterns by lookback, which is how far TA-Lib's definition of each looks.
PATTERNS: dict[int, str] = {
    3: "engulfing xsidegap3methods",
    4: "3outside",
    6: "hikkake",
    7: "matchinglow",
    8: "gapsidesidewhite sticksandwich tasukigap",
    9: "3linestrike",
    11: "belthold closingmarubozu dragonflydoji gravestonedoji highwave hikkakemod longleggeddoji"
    " longline marubozu rickshawman shortline spinningtop takuri",
    12: "counterattack darkcloudcover dojistar hammer hangingman harami haramicross homingpigeon"
    " inneck invertedhammer kicking kickingbylength onneck piercing separatinglines shootingstar"
    " thrusting",
    13: "2crows 3inside 3starsinsouth 3whitesoldiers abandonedbaby advanceblock eveningdojistar"
    " eveningstar identical3crows morningdojistar morningstar stalledpattern tristar unique3river"
    " upsidegap2crows",
    14: "3blackcrows concealbabyswall",
    15: "breakaway ladderbottom mathold risefall3methods",
}

# The defaults of the first two use later bars; the third's are empty where there is no count.
ARGUMENTS: dict[str, dict[str, bool]] = {
    "ichimoku": {"lookahead": False, "as_dataframe": True},
    "dpo": {"centered": False},
    "td_seq": {"asint": True},
}

_ONE_SIDED = "is empty while the trend is on the other side"
_TWO_SERIES = "needs a second series, and a feature is made of one symbol's bars"
_TOO_LONG = "remembers more bars than the two years that a feature may look back"
# Indicators, and single outputs as <indicator>_<output>, that are not offered.
REFUSED: dict[str, str] = {
    "beta": _TWO_SERIES,
    "cdl_pattern": "stands for all candle patterns at once, and each has a name of its own here",
    "correl": _TWO_SERIES,
    "drawdown": "measures from the highest close since the history starts, wherever that is",
    "hilo_long": _ONE_SIDED,
    "hilo_short": _ONE_SIDED,
    "hwc_lower": _TOO_LONG,
    "hwc_upper": _TOO_LONG,
    "ichimoku_chikou": "uses later bars",
    "kvo": _TOO_LONG,
    "long_run": _TWO_SERIES,
    "ma": "only chooses another average by its name",
    "mavp": _TWO_SERIES,
    "qqe_long": _ONE_SIDED,
    "qqe_short": _ONE_SIDED,
    "short_run": _TWO_SERIES,
    "stc_stc": _TOO_LONG,
    "stc_stoch": _TOO_LONG,
    "supertrend_long": _ONE_SIDED,
    "supertrend_short": _ONE_SIDED,
    "tos_stdevall": "uses later bars",
    "tsignals": _TWO_SERIES,
    "vfi": "counts only moves of more than 20 % in one bar and so is 0 nearly always",
    "vidya": "stays empty for good once the close has stood still for 14 bars",
    "vp": "describes a stretch of bars, not each bar",
    "vwap": "averages within a session, and there is one bar a session",
    "xsignals": _TWO_SERIES,
}
