"""Which model serves: the policy that promotes the better one, and what people ask for by hand.

policy.py        may this model take the champion's place? figures in, a verdict with numbers out
candidates.py    which models are considered at all
intervals.py     how sure a training was of each class of the champion
promoting.py     signs and numbers promotions, and withdraws models, one thing at a time
requests.py      promote, rollback and withdraw, as people ask for them
"""
