"""A copy that is wrong in a way of one's choice."""


class Altered:
    """A copy that is wrong in a way of one's choice."""

    def __init__(self, model, outputs=lambda o, _: o, labels=lambda p, _: p):
        self.model, self.spaces, self.labels = model, model.spaces, model.labels
        self.change_outputs, self.change_labels = outputs, labels

    def outputs(self, table, space):
        return self.change_outputs(self.model.outputs(table, space), table)

    def predict(self, table):
        return self.change_labels(self.model.predict(table), table)
