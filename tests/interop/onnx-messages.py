"""Prints the fields of all messages of a model, as the onnx package has them: {message: {number: [kind, is it a list]}}."""

import json

from google.protobuf.descriptor import FieldDescriptor as Field
from onnx import ModelProto

kinds = {
    Field.TYPE_FLOAT: "float",
    Field.TYPE_DOUBLE: "double",
    Field.TYPE_STRING: "string",
    Field.TYPE_BYTES: "bytes",
    Field.TYPE_MESSAGE: "message",
}
messages = {}


def walk(message):
    if message.full_name in messages:
        return
    fields = {field.number: [kinds.get(field.type, "int"), field.is_repeated] for field in message.fields}
    messages[message.full_name] = fields
    for field in message.fields:
        if field.message_type:
            walk(field.message_type)


walk(ModelProto.DESCRIPTOR)
print(json.dumps(messages))
