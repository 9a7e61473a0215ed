"""What every picture says about itself: how it was made, and that it is synthetic."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import quoteattr

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's digital source type for media made by a trained model."""
KEY = "turboportrait"
"""The PNG text, EXR attribute and movie tag that holds `as_json`."""


def as_json(metadata: dict[str, Any]) -> str:
    """The metadata as one line."""
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True)


def xmp_packet(software: str) -> str:
    """An XMP packet with IPTC's DigitalSourceType, as editors and image libraries read it."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f"Iptc4xmpExt:DigitalSourceType={quoteattr(SYNTHETIC)} xmp:CreatorTool={quoteattr(software)}/>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )
