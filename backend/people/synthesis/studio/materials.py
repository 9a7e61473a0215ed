"""Materials by kind: skin, eye, clear, hair, card, cloth, fabric, teeth, plain."""

import bpy

from backend.people.synthesis.studio.objects import load_image


def make_material(name: str, settings: dict, images: dict):
    """A material of `settings["kind"]` with its settings; `images` by name."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    surface = _KINDS[settings["kind"]](_Nodes(tree), settings, images)
    tree.links.new(surface, out.inputs["Surface"])
    return material


class _Nodes:
    """Adds nodes to a tree, in the order in which they are used."""

    def __init__(self, tree) -> None:
        self.tree = tree

    def add(self, kind: str, inputs: dict | None = None, **settings):
        """A node with its settings; an input is a value or another node's socket."""
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for key, value in settings.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            elif isinstance(value, (list, tuple)) and len(value) == 3 and node.inputs[key].type == "RGBA":
                node.inputs[key].default_value = (*value, 1)
            else:
                node.inputs[key].default_value = value
        return node

    def attribute(self, name: str, output: str = "Fac"):
        return self.add("Attribute", attribute_name=name).outputs[output]

    def mix(self, share, first, second):
        """Colours mixed."""
        node = self.add("Mix", data_type="RGBA")
        for key, value in ((0, share), (6, first), (7, second)):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            else:
                node.inputs[key].default_value = value if key == 0 else (*value, 1)
        return node.outputs[2]

    def math(self, operation: str, first, second):
        return self.add("Math", {0: first, 1: second}, operation=operation).outputs[0]

    def noise(self, place, scale: float, detail: float = 1.0):
        return self.add("TexNoise", {"Vector": place, "Scale": scale, "Detail": detail}).outputs[0]


def _skin(nodes: _Nodes, settings: dict, images: dict):
    place = nodes.attribute("place", "Vector")
    uv = nodes.add("UVMap", uv_map="uv").outputs["UV"]
    painted = nodes.add("TexImage", {"Vector": uv}, image=images["skin"]).outputs["Color"]
    relief = nodes.add("TexImage", {"Vector": uv}, image=images["relief"]).outputs["Color"]
    relief = nodes.add("SeparateColor", {"Color": relief})
    front = nodes.attribute("front")
    painted = nodes.mix(front, (1.0, 1.0, 1.0), painted)
    base = _photographed_skin(nodes, settings) if settings["skins"] else _even_skin(nodes, settings, place)
    color = nodes.add("Mix", {6: base, 7: painted, 0: 1.0}, data_type="RGBA", blend_type="MULTIPLY").outputs[2]
    color = nodes.mix(
        nodes.math("MULTIPLY", nodes.attribute("hair_shadow"), settings["scalp_share"]), color, settings["scalp"]
    )
    wet = nodes.attribute("wet")
    color = nodes.mix(wet, color, nodes.mix(nodes.attribute("tongue"), (0.16, 0.035, 0.03), (0.42, 0.13, 0.12)))
    gloss = nodes.math("MULTIPLY", relief.outputs["Green"], front)
    rough = nodes.math("SUBTRACT", settings["roughness"], nodes.math("MULTIPLY", gloss, 0.14))
    rough = nodes.math("SUBTRACT", rough, nodes.math("MULTIPLY", wet, 0.2))
    pores = nodes.math("MULTIPLY", nodes.noise(place, 1100.0), 0.045)
    height = nodes.math("ADD", nodes.math("MULTIPLY", relief.outputs["Red"], front), pores)
    bump = nodes.add("Bump", {"Height": height, "Distance": 0.001, "Strength": 0.9}).outputs["Normal"]
    return nodes.add(
        "BsdfPrincipled",
        {"Base Color": color, "Roughness": rough, "Specular IOR Level": 0.28, "Normal": bump,
         "Subsurface Weight": 1.0, "Subsurface Radius": (1.0, 0.36, 0.18), "Subsurface Scale": 0.0035,
         "Sheen Weight": 0.05},
        subsurface_method="BURLEY",
    ).outputs[0]  # fmt: skip


def _even_skin(nodes: _Nodes, settings: dict, place):
    blotch = nodes.noise(place, 60.0, 3.0)
    dark = [0.82 * settings["base"][0], *(0.74 * c for c in settings["base"][1:])]
    return nodes.mix(nodes.math("MULTIPLY", blotch, 0.5), settings["base"], dark)


def _photographed_skin(nodes: _Nodes, settings: dict):
    uv = nodes.add("UVMap", uv_map="corner_uv").outputs["UV"]
    first, second = (
        nodes.add("TexImage", {"Vector": uv}, image=load_image(path)).outputs["Color"] for path in settings["skins"]
    )
    blended = nodes.mix(settings["share"], first, second)
    return nodes.add(
        "Mix", {6: blended, 7: (*settings["tint"], 1), 0: 1.0}, data_type="RGBA", blend_type="MULTIPLY"
    ).outputs[2]


def _eye(nodes: _Nodes, settings: dict, images: dict):
    uv = nodes.add("UVMap", uv_map="uv").outputs["UV"]
    color = nodes.add("TexImage", {"Vector": uv}, image=images["eye"], extension="EXTEND").outputs["Color"]
    return nodes.add("BsdfPrincipled", {"Base Color": color, "Roughness": 0.15, "Specular IOR Level": 0.08}).outputs[0]


def _clear(nodes: _Nodes, settings: dict, images: dict):
    # Straight through and a reflection: refraction costs more light paths than it shows at this size.
    tint = settings.get("tint", 1.0)
    through = nodes.add("BsdfTransparent", {"Color": (tint, tint, tint)}).outputs[0]
    # Dimmed: few light paths and the denoiser spread a lamp's reflection over the whole iris.
    shine = nodes.add("BsdfGlossy", {"Color": (0.4, 0.4, 0.4), "Roughness": settings.get("roughness", 0.02)}).outputs[0]
    share = nodes.add("LayerWeight", {"Blend": 0.12}).outputs["Fresnel"]
    return nodes.add("MixShader", {0: share, 1: through, 2: shine}).outputs[0]


def _hair(nodes: _Nodes, settings: dict, images: dict):
    random = nodes.add("HairInfo").outputs["Random"]
    color = settings["color"]
    varied = nodes.mix(random, [0.72 * c for c in color], [1.25 * c for c in color])
    lot = nodes.math("FRACT", nodes.math("MULTIPLY", random, 37.0), 0.0)
    varied = nodes.mix(nodes.math("LESS_THAN", lot, nodes.attribute("grey")), varied, (0.55, 0.54, 0.52))
    return nodes.add(
        "BsdfHairPrincipled",
        {
            "Color": varied,
            "Roughness": 0.32,
            "Radial Roughness": 0.45,
            "Coat": 0.0,
            "IOR": 1.55,
            "Random Roughness": 0.2,
        },
        model="CHIANG",
    ).outputs[0]


def _card(nodes: _Nodes, settings: dict, images: dict):
    uv = nodes.add("UVMap", uv_map="corner_uv").outputs["UV"]
    picture = nodes.add("TexImage", {"Vector": uv}, image=load_image(settings["image"]), extension="EXTEND").outputs
    shade = nodes.math("DIVIDE", nodes.add("RGBToBW", {"Color": picture["Color"]}).outputs[0], settings["mean"])
    # Black hair was photographed with hardly any light; brighter shades of it are highlights, not pigment.
    shade = nodes.add("Clamp", {"Value": shade, "Min": 0.3, "Max": 1.8}).outputs[0]
    color = nodes.add("VectorMath", {0: settings["color"], "Scale": shade}, operation="SCALE").outputs[0]
    hair = nodes.add("BsdfPrincipled", {"Base Color": color, "Roughness": settings["roughness"],
                                        "Specular IOR Level": 0.25}).outputs[0]  # fmt: skip
    return nodes.add("MixShader", {0: picture["Alpha"], 1: nodes.add("BsdfTransparent").outputs[0], 2: hair}).outputs[0]


def _fabric(nodes: _Nodes, settings: dict, images: dict):
    uv = nodes.add("UVMap", uv_map="corner_uv").outputs["UV"]
    picture = nodes.add("TexImage", {"Vector": uv}, image=load_image(settings["image"])).outputs
    color = nodes.add("HueSaturation", {"Color": picture["Color"], "Hue": settings["hue"]}).outputs[0]
    inputs = {"Base Color": color, "Roughness": settings["roughness"], "Specular IOR Level": 0.2}
    if "normal" in settings:
        image = load_image(settings["normal"], is_data=True)
        normal = nodes.add("TexImage", {"Vector": uv}, image=image).outputs["Color"]
        inputs["Normal"] = nodes.add("NormalMap", {"Color": normal}, uv_map="corner_uv").outputs[0]
    solid = nodes.add("BsdfPrincipled", inputs).outputs[0]
    if not settings.get("alpha", True):
        return solid
    nothing = nodes.add("BsdfTransparent").outputs[0]
    return nodes.add("MixShader", {0: picture["Alpha"], 1: nothing, 2: solid}).outputs[0]


def _teeth(nodes: _Nodes, settings: dict, images: dict):
    uv = nodes.add("UVMap", uv_map="corner_uv").outputs["UV"]
    color = nodes.add("TexImage", {"Vector": uv}, image=load_image(settings["image"])).outputs["Color"]
    return nodes.add("BsdfPrincipled", {"Base Color": color, "Roughness": 0.25}).outputs[0]


def _cloth(nodes: _Nodes, settings: dict, images: dict):
    place = nodes.attribute("place", "Vector")
    axes = nodes.add("SeparateXYZ", {"Vector": place}).outputs
    scale = settings["scale"]

    def stripes(value, frequency: float):
        return nodes.math(
            "GREATER_THAN", nodes.math("SINE", nodes.math("MULTIPLY", value, 6.283 * frequency), 0.0), 0.25
        )

    color, height = settings["color"], nodes.noise(place, 1400.0)
    if settings["pattern"] == "stripes":
        color = nodes.mix(stripes(axes["Y"], scale), color, settings["second"])
    elif settings["pattern"] == "checks":
        both = nodes.math("ADD", stripes(axes["Y"], scale), stripes(axes["X"], scale))
        color = nodes.mix(nodes.math("MULTIPLY", both, 0.5), color, settings["second"])
    elif settings["pattern"] == "knit":
        height = nodes.math("MULTIPLY", nodes.math("SINE", nodes.math("MULTIPLY", axes["X"], 1500.0), 0.0),
                            nodes.math("SINE", nodes.math("MULTIPLY", axes["Y"], 1100.0), 0.0))  # fmt: skip
    wear = nodes.noise(place, 25.0, 4.0)
    shade = nodes.math("ADD", 0.8, nodes.math("MULTIPLY", wear, 0.4))
    color = nodes.add("VectorMath", {0: color, "Scale": shade}, operation="SCALE").outputs[0]
    bump = nodes.add("Bump", {"Height": height, "Distance": 0.0006, "Strength": 0.7}).outputs["Normal"]
    solid = nodes.add("BsdfPrincipled", {"Base Color": color, "Roughness": 0.9, "Specular IOR Level": 0.2,
                                         "Normal": bump, "Sheen Weight": 0.25,
                                         "Sheen Roughness": 0.5}).outputs[0]  # fmt: skip
    if not settings.get("cut"):
        return solid
    # Cut along the neckline, finer than the triangles are.
    nothing = nodes.add("BsdfTransparent").outputs[0]
    return nodes.add(
        "MixShader", {0: nodes.math("GREATER_THAN", nodes.attribute("edge"), 0.0), 1: nothing, 2: solid}
    ).outputs[0]


def _plain(nodes: _Nodes, settings: dict, images: dict):
    soft = settings.get("soft", 0.0)
    return nodes.add(
        "BsdfPrincipled",
        {"Base Color": settings["color"], "Roughness": settings["roughness"], "Metallic": settings.get("metallic", 0.0),
         "Subsurface Weight": float(soft > 0), "Subsurface Radius": (1.0, 0.6, 0.4),
         "Subsurface Scale": max(soft, 1e-4)},
        subsurface_method="BURLEY",
    ).outputs[0]  # fmt: skip


_KINDS = {
    "skin": _skin,
    "eye": _eye,
    "clear": _clear,
    "hair": _hair,
    "card": _card,
    "cloth": _cloth,
    "fabric": _fabric,
    "teeth": _teeth,
    "plain": _plain,
}
