from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation


class Snoop(BrainModel):
    identifier = "snoop"

    def represent(self, stimuli):
        return representation(stimuli, [[1.0]] * len(stimuli))


model_registry["snoop"] = Snoop
