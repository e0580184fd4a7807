#!/bin/sh
# The model that ships with the package, from data to card (hours):
#
#     sh configs/default/make.sh DATA
#
# DATA is what store.py asks for; efficientnet-lite0-57934424.pth lies in the working folder. Begun again, it goes on:
# what is trained is not trained again.
set -eu
shipped=src/histocerb/models/weights/default
store=stores/default-tissue
python configs/default/store.py "$1" stores/default
for run in default tissue fine all decoders nuclei; do
    histocerb train "configs/default/$run.toml"
done
cp runs/default-nuclei/model/* "$shipped"
# The third run has not seen these images, the weights that ship have; the tiles neither has.
histocerb evaluate --model runs/default-fine/model --data "$store" --split valid --out runs/valid.json
histocerb evaluate --model default --data "$store" --split valid --out runs/seen.json
histocerb evaluate --model default --data "$store" --split train --source consep --out runs/consep.json
histocerb evaluate --model default --data "$store" --split external --out runs/external.json
python configs/default/card.py runs/valid.json runs/seen.json runs/consep.json runs/external.json "$store" \
    stores/default-sheets "$shipped"
