// SPDX-License-Identifier: GPL-3.0-or-later
// A Flamenco 3 job type: frames of one .blend by the TurboPortrait3D render engine, then a movie. See docs/farm.md.
// Facts: Flamenco's manual, "Job Types" and "List of Commands".

const JOB_TYPE = {
    label: "TurboPortrait3D",
    description: "Render frames with the TurboPortrait3D engine, then make a movie of them",
    settings: [
        {
            key: "frames", type: "string", required: true,
            eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
            evalInfo: { showLinkButton: true, description: "The scene's frame range" },
            description: "Frames to render, such as 1-48, 60",
        },
        {
            key: "chunk_size", type: "int32", default: 24,
            description: "Frames per task; each task starts Blender and a backend once, which takes some seconds",
        },
        {
            key: "output_folder", type: "string", subtype: "dir_path", required: true, visible: "submission",
            description: "Folder on the shared storage for the frames and the movie",
        },
        {
            key: "file_name", type: "string", required: true, visible: "submission",
            eval: "bpy.path.display_name_from_filepath(C.blend_data.filepath) or 'shot'",
            description: "Start of the files' names",
        },
        {
            key: "backend_python", type: "string", required: false, default: "", visible: "submission",
            description: "The Python that has the backend on every worker; empty if the preferences there name it",
        },
        { key: "movie", type: "bool", default: true, description: "Make an H.264 movie of the frames" },
        { key: "blendfile", type: "string", required: true, visible: "web", description: "The .blend to render" },
        {
            key: "fps", type: "float", visible: "hidden",
            eval: "C.scene.render.fps / C.scene.render.fps_base",
        },
    ],
};

const ENGINE = "TURBOPORTRAIT3D";

function compileJob(job) {
    const settings = job.settings;
    const folder = settings.output_folder.replace(/[\\/]+$/, "");
    const frames = folder + "/" + settings.file_name + ".######";
    const tasks = frameChunker(settings.frames, settings.chunk_size).map((chunk) => renderTask(settings, frames, chunk));
    tasks.forEach((task) => job.addTask(task));
    if (settings.movie) {
        job.addTask(movieTask(settings, folder, tasks));
    }
}

function renderTask(settings, frames, chunk) {
    const task = author.Task("render-" + chunk, "blender");
    task.addCommand(author.Command("blender-render", {
        exe: "{blender}",
        exeArgs: "{blenderArgs}",
        argsBefore: ["--background"],
        blendfile: settings.blendfile,
        args: [
            "--engine", ENGINE,
            // A frame that fails shall fail its task, not pass as an empty picture.
            "--python-exit-code", "1",
            "--python-expr", preparation(settings),
            "--render-output", frames,
            "--render-format", "PNG",
            // Flamenco's chunks are 1-10,12; Blender's ranges 1..10,12.
            "--render-frame", chunk.replace(/-/g, ".."),
        ],
    }));
    return task;
}

// Python for the worker's Blender: where the backend is, if the job says so.
function preparation(settings) {
    if (!settings.backend_python) {
        return "pass";
    }
    return "import os; os.environ['TURBOPORTRAIT_PYTHON'] = " + JSON.stringify(settings.backend_python);
}

function movieTask(settings, folder, tasks) {
    const task = author.Task("movie", "ffmpeg");
    task.addCommand(author.Command("frames-to-video", {
        exe: "ffmpeg",
        fps: settings.fps,
        inputGlob: folder + "/" + settings.file_name + ".*.png",
        outputFile: folder + "/" + settings.file_name + ".mp4",
        args: [
            "-c:v", "h264", "-crf", "16", "-pix_fmt", "yuv420p",
            // 4:2:0 colour needs even sides.
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2",
            "-an", "-y",
        ],
    }));
    tasks.forEach((render) => task.addDependency(render));
    return task;
}
