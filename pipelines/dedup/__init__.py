"""Finding copies, right for Chinese: hash, meet, verify, and only then choose who stays.

1. `fold_table`, `hashing_form`: a text becomes tokens: CJK characters, words, in code also operators; form is gone.
2. `exact`: 128 bits of the whole token sequence. `shingles`: the set of its windows, one space for all scripts.
3. `minhash`: datasketch's signature of that set and its LSH bands. `sketch`: its smallest hashes, for verification.
4. `signature`: 1 to 3 for a batch of documents, a row of `bands/` each. Text is not needed from here on.
5. `join`: a Beam job over `bands/`: who shares a band or a signature (`buckets`), which of those are really alike
   (`verify`). Over all documents, whatever the rules say of them; the result is `pairs/`.
6. `survivors`: in `decide`, among the documents that the rules keep: copies gather in stars around the best of them
   (`clusters`); each has been verified against the one that stands for it. The result is `duplicates/`.
"""
