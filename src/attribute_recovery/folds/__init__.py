"""Cross-fitting where people are few: the data set of a fold, and the results of all folds as one."""
