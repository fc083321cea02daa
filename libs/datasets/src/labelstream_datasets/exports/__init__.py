"""A dataset on disk in the forms that others read: a folder, or a zip whose bytes depend on the dataset alone.

yolo      data.yaml   {train,val,test}/images   {train,val,test}/labels
coco      annotations/instances_{train,val,test}.json   images/{train,val,test}
voc       JPEGImages   Annotations   ImageSets/Main/{train,val,trainval,test}.txt   classes.txt
azaion    data/{images,labels}: originals   data-processed/{images,labels}: with variants   classes.json   splits/*.txt

Every form also has `media.csv`: the photo or video that each image came from, for whoever splits it anew.
"""

from labelstream_datasets.exports.exporting import FORMS, Exported, Form, export

__all__ = ["FORMS", "Exported", "Form", "export"]
