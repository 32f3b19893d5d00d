"""Training: labelled images in, weights out.

    samples.py      training sets on disk -> `TrainingImage`, checked before anything starts
    guard.py        refuses images of the evaluation sets
    split.py        training and validation images, split by drive
    order.py        which image each step sees: a function of the seed and the step alone
    augment.py      crops, flips, colours, and rare objects that are pasted
    networks.py     the network to train, from which weights
    added_classes.py  heads for classes that it does not know
    losses.py       the losses of Mask R-CNN, weighted by how far each label is trusted
    schedule.py     learning rate, and steps from minutes
    checkpoint.py   everything a resumed run needs, written atomically
    validation.py   mask AP of the averaged weights
    trainer.py      the loop
    curves.py       plots

Importing this package loads no torch.
"""
