"""How fast and how big it is, each figure beside its floor in the same run (`script/bench`)."""
