"""Series beside the bars: macro, fundamentals, news, with their vintages."""
