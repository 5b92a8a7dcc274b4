"""What the cells of a network do over a text: read it, rank the cells by what they follow, write a
page that colours the text by any of them.

    text → following (tokens, and the value of every cell after each) → ranking → page
    features: what a cell may follow, a row of a table each
"""
