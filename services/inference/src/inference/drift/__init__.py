"""Whether live images still look like the test images: class mix and confidences of answers, beside the bundle's.

window.py     the newest answers of one model
distance.py   how far two mixes are apart (pure)
watching.py   takes each answer, and tells Prometheus when it asks
"""
