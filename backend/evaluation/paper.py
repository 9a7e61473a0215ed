"""The paper's own figures (Kim et al., TurboPortrait3D, tables 1 and 2), to stand beside ours."""

TABLE1 = {
    "GP-Avatar, its raw views": {"L2": 0.019, "LPIPS": 0.252, "PSNR": 21.698, "SSIM": 0.678, "ID": 0.899, "FID": 35.32},
    "DiffPortrait3D*, not aligned": {"L2": 0.052, "LPIPS": 0.281, "PSNR": 20.364, "SSIM": 0.633, "ID": 0.827,
                                     "FID": 30.38},
    "DiffPortrait3D*, aligned": {"L2": 0.047, "LPIPS": 0.288, "PSNR": 20.751, "SSIM": 0.629, "ID": 0.799, "FID": 34.04},
    "TurboPortrait3D": {"L2": 0.013, "LPIPS": 0.213, "PSNR": 23.143, "SSIM": 0.698, "ID": 0.949, "FID": 30.28},
}  # fmt: skip
"""On Ava-256 and NeRSemble together."""
RAW, REFINED = "GP-Avatar, its raw views", "TurboPortrait3D"
SECONDS = {
    "GP-Avatar, its raw views": (3, 0.07),
    "DiffPortrait3D*, not aligned": (None, 28.00),
    "DiffPortrait3D*, aligned": (None, 28.00),
    "TurboPortrait3D": (3, 0.12),
}
"""Registration and generation."""
TABLE2 = {
    "0.0": {"LPIPS": 0.213, "PSNR": 23.114, "SSIM": 0.687, "ID": 0.948},
    "0.1": {"LPIPS": 0.213, "PSNR": 23.143, "SSIM": 0.698, "ID": 0.949},
    "0.2": {"LPIPS": 0.212, "PSNR": 23.137, "SSIM": 0.698, "ID": 0.949},
    "0.3": {"LPIPS": 0.213, "PSNR": 23.116, "SSIM": 0.696, "ID": 0.949},
    "0.4": {"LPIPS": 0.213, "PSNR": 23.079, "SSIM": 0.695, "ID": 0.947},
    "0.5": {"LPIPS": 0.216, "PSNR": 22.974, "SSIM": 0.692, "ID": 0.947},
}
