"""The mutations of trainings in shards, and of the means that they take apart."""

from mutations.mutation import of

distributed = of("distributed.py", "test_distributed.py")
means = of("train/means.py", "test_distributed.py")
loop = of("train/loop.py", "test_distributed.py")
metrics = of("train/metrics.py", "test_distributed.py")

MUTATIONS = [
    means("total_weight", "no ignored rows", "y if ignored is None else y[y != ignored]", "y"),
    means(
        "total_weight",
        "no class weights",
        "float(np.asarray(of_class, np.float64)[kept].sum())",
        "float(kept.size)",
    ),
    means("total_weight", "no weights of rows", "float(weight.sum())", "float(len(weight))"),
    means("with_known_weight", "any loss", "not value.ndim", "False"),
    distributed("_add_up", "one after another", "sums[-1][0] == sums[-2][0]", "True"),
    distributed("_seeded", "shards alike", "[number, shard]", "[number, 0]"),
    distributed(
        "_seeded",
        "steps alike",
        "int(generator.integers(2**63))",
        "7",
    ),
    distributed(
        "Shards._exchange",
        "nothing comes",
        "np.split(self._received, ends[:-1])",
        "np.split(self._sent, ends[:-1])",
    ),
    distributed("Shards._sum_in_pairs", "stops early", "distance < self.size", "distance < 2"),
    distributed(
        "ShardedGradients._compute",
        "the mean of means",
        "total_weight(self.loss, targets, weights) / whole if whole else math.nan",
        "1 / self.shards.n",
    ),
    distributed("ShardedGradients._refuse_batch_norm", "takes it", "module.training", "False"),
    distributed(
        "ShardedGradients._constant_state", "changes", "tensor._value is not value", "False"
    ),
    distributed("Shards.check_replicas", "others pass", "(weights, state) != found[0]", "False"),
    distributed("connect", "no runner", "comm.size > 1", "False"),
    distributed("connect", "each alone", "comm.size == 1 < started", "False"),
    loop("_agree", "each for itself", "shards.gather(stopped)", "[stopped]"),
    metrics("evaluate_rows", "blocks alike", "mean * weight if weight else 0.0", "mean * n"),
]
